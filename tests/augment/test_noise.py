"""Noise has the strength that was drawn and is anew in each frame."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.augment import Augmentation, noise


@pytest.fixture
def plain():
    return np.full((4, 64, 64, 3), 128, np.uint8)


def test_the_standard_deviation_is_the_one_asked_for(plain):
    made = noise.apply(plain, noise.Params(std=10.0, seed=1)).astype(float)
    assert made.std() == pytest.approx(10, rel=0.03)
    assert made.mean() == pytest.approx(128, abs=0.3)


def test_each_frame_has_noise_of_its_own_and_of_the_same_strength(plain):
    made = noise.apply(plain, noise.Params(std=10.0, seed=1)).astype(float)
    assert np.abs(np.corrcoef(made.reshape(4, -1)) - np.eye(4)).max() < 0.05
    assert made.std(axis=(1, 2, 3)) == pytest.approx(np.full(4, 10.0), rel=0.05)


def test_values_are_clipped_not_wrapped(plain):
    made = noise.apply(np.full_like(plain, 250), noise.Params(std=20.0, seed=1))
    assert made.min() > 100


def test_the_strength_is_drawn_up_to_the_one_asked_for():
    rng = np.random.default_rng(0)
    drawn = [noise.draw(rng, Augmentation(noise=8.0), (1, 8, 8)) for _ in range(500)]
    assert max(params.std for params in drawn) == pytest.approx(8, rel=0.02)
