"""A plain table of numbers for a terminal or a log."""

from __future__ import annotations

from collections.abc import Mapping


def side_by_side(columns: Mapping[str, Mapping[str, float]]) -> str:
    """One row for each name that any column has, one column for each mapping; `-` where missing.

    Names with a slash (a number of one class, say) come after those without.
    """
    names = sorted({n for values in columns.values() for n in values}, key=lambda n: ("/" in n, n))
    left = max(map(len, names), default=0)
    lines = [" " * left + "".join(f"{title:>12}" for title in columns)]
    for name in names:
        cells = "".join(
            f"{values[name]:>12.4g}" if name in values else f"{'-':>12}"
            for values in columns.values()
        )
        lines.append(f"{name:<{left}}{cells}")
    return "\n".join(lines)
