"""Ranking and calibration: areas under curves, expected calibration error, Brier score."""

from __future__ import annotations

import numpy as np

from videoproc.tasks.classification.calibration import (
    brier_score,
    expected_calibration_error,
    reliability,
)
from videoproc.tasks.classification.curves import precision_recall_curves, roc_curves
from videoproc.tasks.task import Scores, Spec


def measures(scores: Scores, spec: Spec) -> dict[str, float]:
    """roc_auc and average_precision of each class that has a curve and their mean (`_macro`);
    expected_calibration_error; brier."""
    found = {
        "expected_calibration_error": expected_calibration_error(reliability(scores)),
        "brier": brier_score(scores),
    }
    for name, curves in (
        ("roc_auc", roc_curves(scores, spec)),
        ("average_precision", precision_recall_curves(scores, spec)),
    ):
        if curves:
            found[f"{name}_macro"] = float(np.mean([curve.value for curve in curves]))
        found |= {f"{name}/{curve.label}": curve.value for curve in curves}
    return found
