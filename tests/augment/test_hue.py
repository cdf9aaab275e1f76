"""Hue turns colours and keeps grey and luma."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.augment import hue
from videoproc.augment.grey import LUMA


@pytest.mark.parametrize("degrees", [-150.0, -20.0, 40.0, 180.0])
def test_grey_stays_grey(degrees):
    grey = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1).repeat(3, axis=-1)
    made = hue.apply(grey, hue.Params(degrees=degrees))
    assert np.abs(made.astype(int) - grey).max() <= 1


def test_luma_stays_and_colours_do_not(noise):
    soft = (noise // 4 + 96).astype(np.uint8)
    made = hue.apply(soft, hue.Params(degrees=60.0))
    assert np.abs(made @ LUMA - soft @ LUMA).max() < 1
    assert np.abs(made.astype(int) - soft).mean() > 5


def test_three_thirds_of_the_circle_give_the_clip_back(noise):
    soft = (noise // 4 + 96).astype(np.uint8)
    made = soft
    for _ in range(3):
        made = hue.apply(made, hue.Params(degrees=120.0))
    assert np.abs(made.astype(int) - soft).max() <= 3
