"""Accuracy, precision, recall and F1 from the confusion matrix."""

from __future__ import annotations

import numpy as np
import torch

from videoproc.tasks.task import Batch, Scores, Spec

MONITOR = "accuracy"
MAXIMISE = True


def scores(outputs: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
    """probabilities: (B, K) float32; target: (B,) int64."""
    return {"probabilities": outputs.float().softmax(dim=1), "target": batch["target"]}


def confusion_matrix(scores: Scores, spec: Spec) -> np.ndarray:
    """(K, K) counts, rows the true class, columns the predicted one. A sample of a class not
    seen in training (target -1) is in no row; `summarise` counts it as wrong."""
    matrix = np.zeros((len(spec["classes"]),) * 2, np.int64)
    known = scores["target"] >= 0
    predicted = scores["probabilities"].argmax(axis=1)
    np.add.at(matrix, (scores["target"][known], predicted[known]), 1)
    return matrix


def summarise(scores: Scores, spec: Spec) -> dict[str, float]:
    """accuracy; per class and macro precision, recall and F1. A class without a sample or a
    prediction has 0, as scikit-learn's zero_division=0; macro means run over all classes."""
    matrix = confusion_matrix(scores, spec)
    hits = matrix.diagonal().astype(float)
    precision = _share(hits, matrix.sum(axis=0))
    recall = _share(hits, matrix.sum(axis=1))
    f1 = _share(2 * hits, matrix.sum(axis=0) + matrix.sum(axis=1))
    summary = {
        "accuracy": float(hits.sum() / max(1, len(scores["target"]))),
        "precision_macro": float(precision.mean()),
        "recall_macro": float(recall.mean()),
        "f1_macro": float(f1.mean()),
    }
    for index, label in enumerate(spec["classes"]):
        summary |= {
            f"precision/{label}": float(precision[index]),
            f"recall/{label}": float(recall[index]),
            f"f1/{label}": float(f1[index]),
        }
    return summary


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
