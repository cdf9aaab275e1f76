"""Outlines: squares are counted, solid and square; a bar is long; what moves is found."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from videoproc.features.shape_contours import QUANTITIES, outline


def of(mask):
    return dict(zip(QUANTITIES, outline(mask), strict=True))


@pytest.fixture
def blank():
    return np.zeros((100, 100), np.uint8)


def test_a_square_is_one_solid_rectangle(blank):
    blank[20:61, 30:71] = 1  # 40 x 40 between the centres of its outermost pixels
    found = of(blank)
    assert found["count"] == found["solidity"] == found["rectangularity"] == 1
    assert found["area"] == pytest.approx(41**2 / 100**2)
    assert found["largest_area"] == pytest.approx(40**2 / 100**2)
    assert found["perimeter"] == pytest.approx(160 / 400)
    assert found["circularity"] == pytest.approx(np.pi / 4)
    assert found["elongation"] == 0


def test_a_disc_is_rounder_and_a_bar_longer_than_a_square(blank):
    disc = cv2.circle(blank.copy(), (50, 50), 30, 1, -1)
    blank[40:51, 10:91] = 1
    assert of(disc)["circularity"] > 0.85 > np.pi / 4
    assert of(disc)["rectangularity"] == pytest.approx(np.pi / 4, abs=0.03)
    assert of(blank)["elongation"] == pytest.approx(1 - 10 / 80)


def test_a_cross_is_not_solid(blank):
    blank[45:56, 10:91] = 1
    blank[10:91, 45:56] = 1
    assert of(blank)["solidity"] < 0.5


def test_objects_are_counted_and_specks_are_not(blank):
    for left in (5, 35, 65):
        blank[40:50, left : left + 20] = 1
    blank[5, 5] = 1
    assert of(blank)["count"] == 3


def test_nothing_has_no_outline(blank):
    assert not any(outline(blank))


def test_a_moving_square_moves_and_a_still_one_does_not(measure, square):
    moving, held = (measure("shape_contours", square(lefts)) for lefts in ([5, 35, 65], [5, 5, 5]))
    assert moving["foreground_count_mean"] == held["foreground_count_mean"] == 1
    assert moving["moving_count_mean"] == 2  # where it was and where it is
    assert held["moving_count_mean"] == held["moving_area_mean"] == 0
    assert moving["foreground_area_mean"] == pytest.approx(20**2 / 96**2)
