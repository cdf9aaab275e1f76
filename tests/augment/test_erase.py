"""Erasing covers one rectangle with one colour, in all frames the same."""

from __future__ import annotations

import numpy as np

from videoproc.augment import Augmentation, erase

SHAPE = (3, 40, 60)


def drawn(area, count=1000):
    rng = np.random.default_rng(0)
    found = [erase.draw(rng, Augmentation(erase_area=area), SHAPE) for _ in range(count)]
    return [params for params in found if params is not None]


def test_the_share_that_is_covered_is_at_most_the_one_asked_for():
    shares = np.array([params.height * params.width / (40 * 60) for params in drawn(0.25)])
    assert 0.24 < shares.max() < 0.27  # sides are rounded
    assert abs(shares.mean() - 0.125) < 0.01  # drawn evenly


def test_rectangles_lie_within_the_frame_and_reach_its_edges():
    found = drawn(0.9)
    assert min(params.top for params in found) == min(params.left for params in found) == 0
    assert max(params.top + params.height for params in found) == 40
    assert max(params.left + params.width for params in found) == 60


def test_what_is_covered_has_one_colour_and_the_rest_stays():
    clip = np.random.default_rng(1).integers(0, 256, (*SHAPE, 3), np.uint8)
    params = erase.Params(top=5, left=7, height=10, width=20, rgb=(1, 2, 3))
    made = erase.apply(clip, params)
    assert (made[:, 5:15, 7:27] == [1, 2, 3]).all()
    outside = np.ones(SHAPE[1:], bool)
    outside[5:15, 7:27] = False
    assert (made[:, outside] == clip[:, outside]).all()
