"""Class numbers, and probabilities as the scores and losses that a network would have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videoproc.tasks.task import Scores, Spec
from videoproc.types import Row

LEAST = float(np.finfo(np.float32).eps)
"""A probability is at least this in a logarithm: a forest may say 0, and a loss must be finite."""


def target_b(rows: Sequence[Row], spec: Spec) -> np.ndarray:
    """(B,) int64 places among the classes; -1 for one not seen in training."""
    index = {label: position for position, label in enumerate(spec["classes"])}
    return np.array([index.get(row["label"], -1) for row in rows], np.int64)


def names(spec: Spec) -> list[str]:
    """The classes, in the order of their numbers."""
    classes: list[str] = spec["classes"]
    return classes


def told(probabilities: np.ndarray, target_b: np.ndarray) -> tuple[Scores, np.ndarray]:
    """probabilities: (B, K) float32, target: (B,) int64; losses (B,): cross-entropy in nats, 0
    where the class was not seen in training."""
    scores = {"probabilities": probabilities.astype(np.float32), "target": target_b}
    return scores, losses_b(scores)


def rows(probabilities: np.ndarray, spec: Spec) -> list[Row]:
    """The columns of `outputs`, one row a sample of (B, K); `probabilities` in the order of
    `classes`."""
    return [
        {
            "label": spec["classes"][max(range(len(row)), key=row.__getitem__)],
            "probability": max(row),
            "classes": spec["classes"],
            "probabilities": row,
        }
        for row in probabilities.astype(np.float32).tolist()
    ]


def losses_b(scores: Scores) -> np.ndarray:
    """(B,) float64: cross-entropy in nats, as `told` has it."""
    known = scores["target"] >= 0
    of_true = scores["probabilities"][np.arange(len(known)), scores["target"]].astype(np.float64)
    return np.where(known, -np.log(of_true.clip(min=LEAST)), 0.0)
