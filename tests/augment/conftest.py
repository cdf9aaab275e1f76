"""Clips to change."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def noise() -> np.ndarray:
    """A clip of noise, (T, H, W, 3), with sides that differ and one that is odd."""
    return np.random.default_rng(0).integers(0, 256, (3, 17, 24, 3), np.uint8)
