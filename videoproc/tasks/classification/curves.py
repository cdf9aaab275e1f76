"""ROC and precision-recall curves, each class against the rest (Fawcett 2006)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoproc.tasks.task import Scores, Spec


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A class against the rest: points (P,) in 0..1, and what they come to (the area under a ROC
    curve, the average precision)."""

    label: str
    x: np.ndarray
    y: np.ndarray
    value: float


def roc_curves(scores: Scores, spec: Spec) -> list[Curve]:
    """x: false positive rate, y: true positive rate, value: area under the curve.

    A class without a sample, or whose samples are all there are, has no curve. A sample of a
    class not seen in training (target -1) belongs to the rest of every class.
    """
    from sklearn.metrics import auc, roc_curve  # slow to import: workers do without

    found = []
    for label, is_class, probability in _one_vs_rest(scores, spec):
        x, y, _ = roc_curve(is_class, probability)
        found.append(Curve(label=label, x=x, y=y, value=float(auc(x, y))))
    return found


def precision_recall_curves(scores: Scores, spec: Spec) -> list[Curve]:
    """x: recall, y: precision, value: average precision; for the classes of `roc_curves`."""
    from sklearn.metrics import average_precision_score, precision_recall_curve

    found = []
    for label, is_class, probability in _one_vs_rest(scores, spec):
        precision, recall, _ = precision_recall_curve(is_class, probability)
        value = average_precision_score(is_class, probability)
        found.append(Curve(label=label, x=recall, y=precision, value=float(value)))
    return found


def _one_vs_rest(scores: Scores, spec: Spec) -> list[tuple[str, np.ndarray, np.ndarray]]:
    of_class = [
        (label, scores["target"] == index, scores["probabilities"][:, index])
        for index, label in enumerate(spec["classes"])
    ]
    return [found for found in of_class if found[1].any() and not found[1].all()]
