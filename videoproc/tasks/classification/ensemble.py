"""Several models' answers as one: their probabilities averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videoproc.tasks.classification import classes
from videoproc.tasks.task import Scores, Spec
from videoproc.types import Row


def together(told: Sequence[Scores]) -> tuple[Scores, np.ndarray]:
    """probabilities: (B, K) means over models; target: (B,) that of the samples; losses (B,): the
    cross-entropy of the means."""
    target = told[0]["target"]
    assert all(np.array_equal(one["target"], target) for one in told), "the samples are the same"
    return classes.told(_mean([one["probabilities"] for one in told]), target)


def rows(told: Sequence[Sequence[Row]], spec: Spec) -> list[Row]:
    """The most probable class by the means, and these."""
    probabilities = [np.array([row["probabilities"] for row in one]) for one in told]
    return classes.rows(_mean(probabilities), spec)


def _mean(probabilities: Sequence[np.ndarray]) -> np.ndarray:
    """(B, K) float64, of one (B, K) a model."""
    return np.stack(probabilities).mean(axis=0, dtype=np.float64)
