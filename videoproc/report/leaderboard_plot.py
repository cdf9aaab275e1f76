"""A dataset's cross-validations as one picture: which model, how sure, at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from videoproc.learning.pooling import FOLDS
from videoproc.report.leaderboard import mean_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = Mapping[str, Any]

ROW_IN = 0.42
KIND_COLOURS = {
    "network": "tab:blue",
    "classical": "tab:green",
    "ensemble": "tab:purple",
    "baseline": "grey",
}
MARKERS = ("o", "s", "^", "D")  # of protocols


def picture_of(dataset: str) -> str:
    """The name of its file."""
    return f"leaderboard-{dataset}.png"


def by_dataset(records: Sequence[Record]) -> dict[str, list[Record]]:
    """Those of cross-validations, of each dataset those of its first record's metric; the ones that
    keep a source on one side come first."""
    found: dict[str, list[Record]] = {}
    for record in records:
        there = found.setdefault(record["dataset"], [])
        if record["protocol"]["split"] == FOLDS and (
            not there or record["metric"] == there[0]["metric"]
        ):
            there.append(record)
    return {
        dataset: sorted(there, key=lambda record: record["protocol"]["group"] is None)
        for dataset, there in sorted(found.items())
        if there
    }


def draw(records: Sequence[Record]) -> Figure:
    """Of one dataset: the metric of each model by each protocol with its 95 % interval, best by the
    first protocol on top, and what an answer of a network costs."""
    from matplotlib.figure import Figure

    metric = records[0]["metric"]
    names = _best_first(records)
    figure = Figure(figsize=(9.0, 1.6 + ROW_IN * len(names)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=[3, 1])
    for number, record in enumerate(records):
        shift = 0.16 * (number - (len(records) - 1) / 2)
        _draw_protocol(left, record, names, shift=shift, marker=MARKERS[number % len(MARKERS)])
    left.set(xlabel=metric, yticks=range(len(names)), yticklabels=names)
    left.invert_yaxis()
    left.grid(axis="x", alpha=0.3)
    figure.legend(*_legend(records), loc="outside upper center", ncols=2, fontsize=9)
    _draw_cost(right, records, names)
    return figure


def _best_first(records: Sequence[Record]) -> list[str]:
    names = dict.fromkeys(name for record in records for name in record["models"])

    def rank(name: str) -> tuple[float, ...]:
        sign = -1 if records[0]["maximise"] else 1
        values = [_value(record, name) for record in records]
        return tuple(np.inf if value is None else sign * value for value in values)

    return sorted(names, key=rank)


def _value(record: Record, name: str, end: str = "") -> float | None:
    """As the table has it; None where it has none."""
    runs = record["models"][name]["runs"] if name in record["models"] else []
    if not runs or (end and len(runs) > 1):  # several runs have no interval together
        return None
    return mean_of(runs, record, f"{record['metric']}{end}")


def _draw_protocol(
    axes: Any, record: Record, names: Sequence[str], *, shift: float, marker: str
) -> None:
    filled = record["protocol"]["group"] is not None
    for row, name in enumerate(names):
        value, low, high = (_value(record, name, end) for end in ("", "_low", "_high"))
        if value is None:
            continue
        colour = KIND_COLOURS[record["models"][name]["kind"]]
        face = colour if filled else "white"
        axes.plot(value, row + shift, marker, color=colour, markerfacecolor=face, markersize=6)
        if low is not None and high is not None:
            axes.hlines(row + shift, low, high, color=colour, linewidth=1.2)
    reached = _value(record, "header_only")
    if reached is not None:
        axes.axvline(reached, color="grey", linestyle="--" if filled else ":", linewidth=1)


def _legend(records: Sequence[Record]) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D

    handles: list[Any] = []
    labels = []
    for number, record in enumerate(records):
        protocol = record["protocol"]
        filled = protocol["group"] is not None
        handles.append(
            Line2D(
                [],
                [],
                color="black",
                linestyle="--" if filled else ":",
                marker=MARKERS[number % len(MARKERS)],
                markerfacecolor="black" if filled else "white",
            )
        )
        how = f"split by {protocol['group']}" if filled else "videos at random"
        labels.append(f"{protocol['folds']} folds, {how}; the line: header_only")
    kinds = {found["kind"] for record in records for found in record["models"].values()}
    for kind in (kind for kind in KIND_COLOURS if kind in kinds):
        handles.append(Line2D([], [], color=KIND_COLOURS[kind], linewidth=4))
        labels.append(kind)
    return handles, labels


def _draw_cost(axes: Any, records: Sequence[Record], names: Sequence[str]) -> None:
    axes.set_xlabel("multiply-adds\nof an answer, billions")
    for row, name in enumerate(names):
        found = next(r["models"][name] for r in records if name in r["models"])
        if cost := found.get("multiply_adds"):
            axes.plot(cost / 1e9, row, "o", color=KIND_COLOURS[found["kind"]], markersize=6)
            axes.annotate(
                f"{cost / 1e9:.1f}",
                (cost / 1e9, row),
                (6, -3),
                textcoords="offset points",
                fontsize=8,
            )
    axes.set_xscale("log")
    axes.grid(axis="x", alpha=0.3)
    axes.margins(x=0.4)
