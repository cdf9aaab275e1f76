"""Each factor changes its own quantity; factors of 1 change nothing."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.augment import jitter
from videoproc.augment.grey import LUMA


def jittered(frames, **factors):
    keep = {"brightness": 1.0, "contrast": 1.0, "saturation": 1.0}
    return jitter.apply(frames, jitter.Params(**keep | factors))


@pytest.fixture
def soft(noise):
    """Noise around the middle, so that nothing is clipped."""
    return (noise // 4 + 96).astype(np.uint8)


def test_factors_of_one_change_nothing(noise):
    assert (jittered(noise) == noise).all()


def test_brightness_scales_every_value(soft):
    assert np.abs(jittered(soft, brightness=1.25) - soft * 1.25).max() <= 0.51


def test_contrast_scales_the_spread_and_keeps_the_mean_grey(soft):
    made = jittered(soft, contrast=0.5)
    assert made.std() == pytest.approx(soft.std() / 2, rel=0.01)
    assert (made @ LUMA).mean() == pytest.approx((soft @ LUMA).mean(), abs=0.5)


def test_no_saturation_is_grey_of_the_same_luma(soft):
    made = jittered(soft, saturation=0.0)
    assert (made == made[..., :1]).all()
    assert np.abs(made[..., 0] - soft @ LUMA).max() <= 0.51


def test_values_are_clipped_not_wrapped(noise):
    assert (jittered(noise, brightness=1.9)[noise >= 140] == 255).all()
