"""The confusion matrix as picture and numbers."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from videoproc.tasks.classification.metrics import confusion_matrix
from videoproc.tasks.task import Scores, Spec


def plots(scores: Scores, spec: Spec) -> dict[str, Figure]:
    """confusion_matrix.png: counts, coloured by the share of the true class."""
    matrix, classes = confusion_matrix(scores, spec), spec["classes"]
    shares = matrix / matrix.sum(axis=1, keepdims=True).clip(min=1)
    side = max(3.5, 1.2 + 0.6 * len(classes))
    figure = Figure(figsize=(side + 1, side), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axes, label="share of the true class")
    axes.set_xticks(range(len(classes)), classes, rotation=45, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    for row in range(len(classes)):
        for column in range(len(classes)):
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, matrix[row, column], ha="center", va="center", color=colour)
    return {"confusion_matrix.png": figure}


def tables(scores: Scores, spec: Spec) -> dict[str, Any]:
    """confusion_matrix.json: classes and counts, rows the true class."""
    return {
        "confusion_matrix.json": {
            "classes": spec["classes"],
            "rows_true_columns_predicted": confusion_matrix(scores, spec).tolist(),
        }
    }
