"""Mirroring moves pixels and changes none."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.augment import Augmentation, flip


def test_a_horizontal_flip_mirrors_left_to_right(noise):
    made = flip.apply(noise, flip.Params(horizontal=True, vertical=False))
    assert (made == np.flip(noise, axis=2)).all()


def test_a_vertical_flip_mirrors_top_to_bottom(noise):
    made = flip.apply(noise, flip.Params(horizontal=False, vertical=True))
    assert (made == np.flip(noise, axis=1)).all()


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("vertical", [False, True])
def test_the_same_flip_twice_gives_the_clip_back(noise, horizontal, vertical):
    params = flip.Params(horizontal=horizontal, vertical=vertical)
    assert (flip.apply(flip.apply(noise, params), params) == noise).all()


def test_half_of_the_clips_are_mirrored():
    rng, settings = np.random.default_rng(0), Augmentation(flip_horizontal=True)
    drawn = [flip.draw(rng, settings, (1, 8, 8)) for _ in range(1000)]
    assert 450 < sum(params is not None and params.horizontal for params in drawn) < 550
    assert not any(params is not None and params.vertical for params in drawn)
