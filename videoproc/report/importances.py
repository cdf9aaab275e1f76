"""What a forest decides by, as a picture."""

from __future__ import annotations

from collections.abc import Mapping

from matplotlib.axes import Axes
from matplotlib.figure import Figure

MAX_BARS = 20


def importances_plot(by_feature: Mapping[str, float], by_column: Mapping[str, float]) -> Figure:
    """Impurity importances (Breiman 2001), summing to 1: by feature, and of the largest columns.

    Columns that tell the same share theirs, and columns of many values get more than they earn.
    """
    figure = Figure(figsize=(12.0, 1.6 + 0.25 * MAX_BARS), layout="constrained")
    left, right = figure.subplots(1, 2)
    _bars(left, by_feature, title="by feature, all columns together")
    _bars(right, by_column, title=f"the {min(MAX_BARS, len(by_column))} largest columns")
    figure.supxlabel("share of the decrease of impurity in the forest's nodes")
    return figure


def _bars(axes: Axes, values: Mapping[str, float], *, title: str) -> None:
    largest = sorted(values.items(), key=lambda item: -item[1])[:MAX_BARS]
    axes.barh(range(len(largest)), [value for _, value in largest], color="tab:blue")
    axes.set_yticks(range(len(largest)), [name for name, _ in largest], fontsize=8)
    axes.set_ylim(MAX_BARS - 0.4, -0.6)
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.3, axis="x")
