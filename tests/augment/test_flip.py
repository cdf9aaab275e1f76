"""Mirroring moves pixels and changes none."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.augment.flip import flip


def test_a_horizontal_flip_mirrors_left_to_right(noise):
    assert (flip(noise, horizontal=True, vertical=False) == np.flip(noise, axis=2)).all()


def test_a_vertical_flip_mirrors_top_to_bottom(noise):
    assert (flip(noise, horizontal=False, vertical=True) == np.flip(noise, axis=1)).all()


@pytest.mark.parametrize("horizontal", [False, True])
@pytest.mark.parametrize("vertical", [False, True])
def test_the_same_flip_twice_gives_the_clip_back(noise, horizontal, vertical):
    how = {"horizontal": horizontal, "vertical": vertical}
    assert (flip(flip(noise, **how), **how) == noise).all()
