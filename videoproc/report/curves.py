"""Learning curves as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator


def learning_curves(
    panels: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]],
) -> Figure:
    """One panel a quantity, one line a series of (epoch, value), epochs counted from 0."""
    figure = Figure(figsize=(4.5 * len(panels), 3.5), layout="constrained")
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (quantity, lines) in zip(all_axes, panels.items(), strict=True):
        for name, points in lines.items():
            epochs = [epoch + 1 for epoch, _ in points]
            axes.plot(epochs, [value for _, value in points], marker=".", label=name)
        axes.set_xlabel("epoch")
        axes.set_ylabel(quantity)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
    return figure
