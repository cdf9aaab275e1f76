"""Scores as a model might give them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from videoproc.tasks import Scores

CLASSES = ["jump", "run", "sit", "walk"]


@pytest.fixture
def spec() -> dict[str, list[str]]:
    return {"classes": CLASSES}


@pytest.fixture
def make_scores() -> Callable[..., Scores]:
    """Random probabilities; targets from `low` on, so that -1 stands for an unseen class."""

    def make(*, num: int = 60, seed: int = 0, low: int = 0, high: int = len(CLASSES)) -> Scores:
        rng = np.random.default_rng(seed)
        return {
            "probabilities": rng.dirichlet([1.0] * len(CLASSES), num).astype(np.float32),
            "target": rng.integers(low, high, num),
        }

    return make
