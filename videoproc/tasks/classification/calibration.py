"""Whether a probability is what it says: of the clips told with 0.8, are 80 % right?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoproc.tasks.task import Scores

BINS = 10


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """By bins of confidence, the probability of the class that is told: (BINS,) each.

    edges: (BINS + 1,). count: samples. confidence and accuracy: means, NaN where count is 0.
    """

    edges: np.ndarray
    count: np.ndarray
    confidence: np.ndarray
    accuracy: np.ndarray


def reliability(scores: Scores) -> Reliability:
    """Bins of equal width (Guo et al. 2017); a class not seen in training is never told right."""
    confidence = scores["probabilities"].max(axis=1).astype(np.float64)
    right = scores["probabilities"].argmax(axis=1) == scores["target"]
    edges = np.linspace(0, 1, BINS + 1)
    bins = np.clip(np.digitize(confidence, edges, right=True) - 1, 0, BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    whole = np.where(count, count, np.nan)
    return Reliability(
        edges=edges,
        count=count,
        confidence=np.bincount(bins, weights=confidence, minlength=BINS) / whole,
        accuracy=np.bincount(bins, weights=right, minlength=BINS) / whole,
    )


def expected_calibration_error(found: Reliability) -> float:
    """The mean gap between confidence and accuracy, weighted by samples: 0 is calibrated."""
    used = found.count > 0
    gap = np.abs(found.confidence - found.accuracy)[used]
    return float((gap * found.count[used]).sum() / found.count.sum())


def brier_score(scores: Scores) -> float:
    """The mean squared distance of the probabilities from the truth, summed over the classes: 0
    to 2, lower is better (Brier 1950). A class not seen in training has a truth of zeros."""
    classes = np.arange(scores["probabilities"].shape[1])
    truth = scores["target"][:, None] == classes
    return float(np.square(scores["probabilities"] - truth).sum(axis=1).mean())
