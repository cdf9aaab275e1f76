"""A plain table of numbers for a terminal or a log."""

from __future__ import annotations

from collections.abc import Mapping

LOW, HIGH = "_low", "_high"
"""Ends of the names of an interval's ends."""


def side_by_side(columns: Mapping[str, Mapping[str, float | str]]) -> str:
    """One row for each name that any column has, one column for each mapping; `-` where missing.

    Names with a slash (a number of one class, say) come after those without.
    """
    names = sorted({n for values in columns.values() for n in values}, key=lambda n: ("/" in n, n))
    left = max(map(len, names), default=0)
    cells = {
        title: [_cell(values.get(name)) for name in names] for title, values in columns.items()
    }
    width = {
        title: max(12, *(len(text) + 2 for text in (title, *texts)))
        for title, texts in cells.items()
    }
    lines = [" " * left + "".join(f"{title:>{width[title]}}" for title in columns)]
    for row, name in enumerate(names):
        shown = "".join(f"{cells[title][row]:>{width[title]}}" for title in columns)
        lines.append(f"{name:<{left}}{shown}")
    return "\n".join(lines)


def with_intervals(values: Mapping[str, float]) -> dict[str, float | str]:
    """The same with each number that has an interval (`x_low`, `x_high`) in one with it."""
    ends = {f"{name}{end}" for name in values for end in (LOW, HIGH)}
    return {
        name: f"{value:.3f} ({values[name + LOW]:.3f} to {values[name + HIGH]:.3f})"
        if name + LOW in values
        else value
        for name, value in values.items()
        if name not in ends
    }


def _cell(value: float | str | None) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.4g}"
