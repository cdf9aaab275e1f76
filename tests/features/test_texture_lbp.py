"""Local binary patterns count flat places, edges and corners, whatever way they are turned."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def of(measure):
    return lambda frames: measure("texture_lbp", frames)


def test_a_flat_clip_is_flat_everywhere(of, still):
    # No neighbour is darker, so all of them count as brighter or equal.
    found = of(still(np.full((32, 32), 100)))
    assert found["8points_bin8_mean"] == found["16points_bin16_mean"] == 1
    assert sum(abs(value) for value in found.values()) == 2


def test_each_histogram_counts_every_pixel_once(of, still):
    found = of(still(np.random.default_rng(0).integers(0, 256, (40, 40))))
    for points in (8, 16):
        total = sum(found[f"{points}points_bin{i}_mean"] for i in range(points + 2))
        assert total == pytest.approx(1)


def test_noise_is_less_uniform_than_a_smooth_picture(of, still, texture):
    noise = np.random.default_rng(0).integers(0, 256, (96, 96))
    rough, smooth = of(still(noise)), of(still(texture[:96, :96]))
    assert rough["8points_bin9_mean"] > 2 * smooth["8points_bin9_mean"]


def test_a_turned_picture_has_the_same_patterns(of, still, texture):
    found, turned = of(still(texture[:96, :96])), of(still(np.rot90(texture[:96, :96])))
    assert turned == pytest.approx(found, abs=0.01)


def test_a_brighter_picture_has_the_same_patterns(of, still, texture):
    dim = texture[:96, :96] // 2
    assert of(still(dim + 100)) == pytest.approx(of(still(dim)), abs=1e-3)  # ties round
