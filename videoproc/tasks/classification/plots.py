"""An evaluation as pictures and numbers: confusion matrix, ROC, precision-recall, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from videoproc.tasks.classification.calibration import (
    expected_calibration_error,
    reliability,
)
from videoproc.tasks.classification.curves import Curve, precision_recall_curves, roc_curves
from videoproc.tasks.classification.metrics import confusion_matrix
from videoproc.tasks.task import Scores, Spec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_CURVES = 12
MAX_COUNTED = 30  # classes; beyond, the cells of a confusion matrix are too small for a number
MAX_LABEL_CHARS = 24


def plots(scores: Scores, spec: Spec) -> dict[str, Figure]:
    """confusion_matrix.png, roc.png, precision_recall.png, calibration.png."""
    return {
        "confusion_matrix.png": _confusion(scores, spec),
        "roc.png": _roc(scores, spec),
        "precision_recall.png": _precision_recall(scores, spec),
        "calibration.png": calibration_plot(scores),
    }


def tables(scores: Scores, spec: Spec) -> dict[str, Any]:
    """confusion_matrix.json: classes and counts, rows the true class. calibration.json: the bins
    of the picture, null where a bin is empty."""
    found = reliability(scores)
    bins = zip(
        found.edges[:-1],
        found.edges[1:],
        found.count,
        found.confidence,
        found.accuracy,
        strict=True,
    )
    return {
        "confusion_matrix.json": {
            "classes": spec["classes"],
            "rows_true_columns_predicted": confusion_matrix(scores, spec).tolist(),
        },
        "calibration.json": [
            {
                "from": round(float(low), 6),
                "to": round(float(high), 6),
                "clips": int(count),
                "confidence": float(confidence) if count else None,
                "accuracy": float(accuracy) if count else None,
            }
            for low, high, count, confidence, accuracy in bins
        ],
    }


def _figure(width_inches: float, height_inches: float) -> Figure:
    from matplotlib.figure import Figure  # slow to import: workers draw nothing

    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def _confusion(scores: Scores, spec: Spec) -> Figure:
    """Counts, coloured by the share of the true class; with many classes colours only."""
    matrix, classes = confusion_matrix(scores, spec), [_short(c) for c in spec["classes"]]
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    side = min(16.0, max(3.5, 1.2 + 0.6 * len(classes)))
    figure = _figure(side + 1, side)
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axes, label="share of the true class")
    size = min(10.0, 900 / len(classes))  # points: 16 inches hold about 900 points of rows
    if size >= 4:
        axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right", fontsize=size)
        axes.set_yticks(range(len(classes)), classes, fontsize=size)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    if len(classes) <= MAX_COUNTED:
        for row, column in np.ndindex(*matrix.shape):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=colour)
    return figure


def _roc(scores: Scores, spec: Spec) -> Figure:
    figure, axes = _unit_square(x="false positive rate", y="true positive rate")
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":", label="guessing")
    curves = roc_curves(scores, spec)
    if len(spec["classes"]) == 2:
        curves = curves[1:]  # the other class has the same curve, seen from the other corner
    _draw(figure, axes, curves, value="AUC", of=len(spec["classes"]))
    return figure


def _precision_recall(scores: Scores, spec: Spec) -> Figure:
    figure, axes = _unit_square(x="recall", y="precision")
    curves = precision_recall_curves(scores, spec)
    _draw(figure, axes, curves, value="AP", of=len(spec["classes"]), drawstyle="steps-post")
    return figure


def _unit_square(*, x: str, y: str) -> tuple[Figure, Axes]:
    figure = _figure(9.0, 4.8)
    axes = figure.add_subplot()
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal")
    axes.grid(alpha=0.3)
    return figure, axes


def _draw(
    figure: Figure, axes: Axes, curves: Sequence[Curve], *, value: str, of: int, **style: Any
) -> None:
    """The curves with their classes in a legend beside them, the worst ones of many."""
    drawn = sorted(curves, key=lambda curve: curve.value)[:MAX_CURVES]
    if not curves:
        axes.text(0.5, 0.5, "no class has both clips\nand clips of others", ha="center")
    elif len(drawn) < len(curves):
        mean = np.mean([curve.value for curve in curves])
        axes.set_title(f"the {len(drawn)} worst of {of} classes; mean {value} {mean:.3f}")
    from matplotlib import colormaps

    colours = colormaps["tab10" if len(drawn) <= 10 else "tab20"]
    for index, curve in enumerate(drawn):
        label = f"{_short(curve.label)}: {value} {curve.value:.3f}"
        axes.plot(curve.x, curve.y, label=label, color=colours(index), **style)
    if axes.get_lines():
        figure.legend(loc="outside right center", fontsize=9)


def calibration_plot(
    scores: Scores, scaled: Scores | None = None, *, temperature: float = 1.0
) -> Figure:
    """Accuracy against confidence, and below it how many clips each point stands for; where there
    are scaled scores, their curve and their clips too."""
    found = reliability(scores)
    figure = _figure(5.2, 6.0)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    centres, width = (found.edges[:-1] + found.edges[1:]) / 2, found.edges[1] - found.edges[0]
    bars = {"width": 0.92 * width, "color": "tab:blue"}
    used = found.count > 0
    title = f"expected calibration error {expected_calibration_error(found):.3f}"
    upper.plot([0, 1], [0, 1], color="grey", linestyle=":", label="calibrated")
    upper.bar(centres[used], found.accuracy[used], alpha=0.4, label="accuracy of the bin", **bars)
    upper.plot(found.confidence[used], found.accuracy[used], "o-", color="tab:blue")
    lower.bar_label(
        lower.bar(centres, found.count, **bars),
        labels=[str(count) if count else "" for count in found.count],
        fontsize=8,
    )
    if scaled is not None:
        after = reliability(scaled)
        there = after.count > 0
        label = f"at temperature {temperature:.2f}"
        style = {"color": "tab:orange", "label": label}
        upper.plot(after.confidence[there], after.accuracy[there], "s--", **style)
        lower.step(after.edges, [*after.count, after.count[-1]], where="post", color="tab:orange")
        title += f", {expected_calibration_error(after):.3f} {label}"
    upper.set(ylabel="share that is right", xlim=(0, 1), ylim=(0, 1.02))
    upper.set_title(title, fontsize=10)
    figure.legend(loc="outside lower center", ncols=3, fontsize=8)
    lower.margins(y=0.25)
    lower.set(xlabel="confidence", ylabel="clips")
    return figure


def _short(label: str) -> str:
    return label if len(label) <= MAX_LABEL_CHARS else label[: MAX_LABEL_CHARS - 1] + "…"
