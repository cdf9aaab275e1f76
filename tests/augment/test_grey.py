"""Grey is the luma that another implementation finds."""

from __future__ import annotations

import numpy as np
from PIL import Image

from videoproc.augment import Augmentation, grey


def test_grey_is_pillows_luma_in_all_three_channels(noise):
    made = grey.apply(noise, grey.Params())
    expected = np.stack([np.asarray(Image.fromarray(frame).convert("L")) for frame in noise])
    assert (made == made[..., :1]).all()
    assert np.abs(made[..., 0].astype(int) - expected).max() <= 1


def test_the_share_of_grey_clips_is_the_one_asked_for():
    rng = np.random.default_rng(0)
    drawn = [grey.draw(rng, Augmentation(grey=0.2), (1, 8, 8)) for _ in range(1000)]
    assert 150 < sum(params is not None for params in drawn) < 250
