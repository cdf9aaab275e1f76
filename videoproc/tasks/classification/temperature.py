"""Temperature scaling: probabilities softened or sharpened by one number (Guo et al. 2017).

p^(1/T), normalised, is the softmax of logits / T: the order of classes stays, and so does every
answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from videoproc.tasks.classification.calibration import (
    brier_score,
    expected_calibration_error,
    reliability,
)
from videoproc.tasks.classification.classes import LEAST, losses_b
from videoproc.tasks.classification.plots import calibration_plot
from videoproc.tasks.task import Scores

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIN_SAMPLES = 20
"""Of fewer, a few samples would decide the temperature."""

LOWEST, HIGHEST = 0.05, 20.0
"""Where all is right, the likeliest temperature is 0; where nothing is, it is without end."""


def fit(scores: Scores) -> float | None:
    """The temperature with the least cross-entropy on samples that the model has not learned from,
    between LOWEST and HIGHEST; None of fewer than MIN_SAMPLES whose class is known."""
    from scipy.optimize import minimize_scalar  # slow to import: workers do without

    known = scores["target"] >= 0
    if known.sum() < MIN_SAMPLES:
        return None
    used = {name: values[known] for name, values in scores.items()}

    def loss(log_temperature: float) -> float:
        return float(losses_b(scale(used, float(np.exp(log_temperature)))).mean())

    # In 1/T the loss is convex, so in log T it has one minimum.
    found = minimize_scalar(loss, bounds=(np.log(LOWEST), np.log(HIGHEST)), method="bounded")
    return float(np.exp(found.x))


def scale(scores: Scores, temperature: float) -> Scores:
    """The scores with scaled probabilities, in float64 so that the order of close ones stays."""
    logits = np.log(scores["probabilities"].astype(np.float64).clip(min=LEAST)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return scores | {"probabilities": powers / powers.sum(axis=1, keepdims=True)}


def measures(scaled: Scores) -> dict[str, float]:
    """loss_scaled, expected_calibration_error_scaled, brier_scaled."""
    return {
        "loss_scaled": float(losses_b(scaled).mean()),
        "expected_calibration_error_scaled": expected_calibration_error(reliability(scaled)),
        "brier_scaled": brier_score(scaled),
    }


def plots(scores: Scores, scaled: Scores, temperature: float) -> dict[str, Figure]:
    """calibration.png, before and after."""
    return {"calibration.png": calibration_plot(scores, scaled, temperature=temperature)}
