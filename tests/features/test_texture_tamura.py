"""Coarse is coarser than fine, stripes have one direction, noise has none."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def of(measure):
    return lambda frames: measure("texture_tamura", frames)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 150])
def test_stripes_have_one_direction_which_is_found(of, still, stripes, degrees):
    found = of(still(stripes(degrees)))
    assert found["directionality_mean"] == pytest.approx(1, abs=0.02)
    doubled = np.arctan2(found["direction_sin2_mean"], found["direction_cos2_mean"])
    off = (np.degrees(doubled) / 2 - degrees + 90) % 180 - 90
    assert abs(off) < 2


def test_noise_has_no_direction(of, still):
    found = of(still(np.random.default_rng(0).integers(0, 256, (96, 96))))
    assert found["directionality_mean"] < 0.05


def test_larger_squares_are_coarser(of, still):
    def board(side):
        return still(np.indices((96, 96)).__floordiv__(side).sum(axis=0) % 2 * 255)

    fine, middle, coarse = (of(board(side))["coarseness_px_mean"] for side in (2, 6, 16))
    assert fine < middle < coarse


def test_contrast_is_the_deviation_where_half_is_black_and_half_white(of, still):
    halves = np.zeros((32, 32))
    halves[:, 16:] = 255
    assert of(still(halves))["contrast_mean"] == pytest.approx(0.5)  # its kurtosis is 1
    assert of(still(halves / 5))["contrast_mean"] == pytest.approx(0.1)


def test_a_flat_clip_has_no_texture(of, still):
    found = of(still(np.full((32, 32), 50)))
    del found["coarseness_px_mean"]  # all windows are alike, the smallest counts
    assert not any(found.values())
