"""Blur is SciPy's Gaussian filter."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from videoproc.augment import blur


@pytest.mark.parametrize("sigma_px", [0.05, 0.7, 1.5, 6.0])
def test_blur_is_scipys(noise, sigma_px):
    expected = gaussian_filter(
        noise.astype(float), (0, sigma_px, sigma_px, 0), mode="nearest", truncate=4.0
    )
    made = blur.apply(noise, blur.Params(sigma_px=sigma_px))
    assert np.abs(made - expected).max() < 2
