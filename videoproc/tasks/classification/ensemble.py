"""Several models' answers as one: their probabilities averaged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videoproc.tasks.classification.classes import told as as_told
from videoproc.tasks.task import Scores


def together(told: Sequence[Scores]) -> tuple[Scores, np.ndarray]:
    """probabilities: (B, K) means over models; target: (B,) that of the samples; losses (B,): the
    cross-entropy of the means."""
    target = told[0]["target"]
    assert all(np.array_equal(one["target"], target) for one in told), "the samples are the same"
    probabilities = np.stack([one["probabilities"] for one in told])
    return as_told(probabilities.mean(axis=0, dtype=np.float64), target)
