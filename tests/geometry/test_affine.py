"""Maps of the plane, by points whose way is known."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.geometry import affine


def moved(point, matrix):
    return affine.transform_points(np.array(point, float), matrix).tolist()


def test_a_translation_moves():
    assert moved([1, 2], affine.translation(3, -1)) == [4, 1]


def test_a_quarter_turn_counter_clockwise_brings_right_to_the_top():
    assert moved([5, 0], affine.rotation(90)) == pytest.approx([0, -5])  # y is downwards


def test_a_mirror_about_the_middle_swaps_the_edges():
    mirror = affine.about((4, 3), affine.scaling(-1, 1))
    assert moved([[0, 1], [8, 1], [4, 1]], mirror) == [[8, 1], [0, 1], [4, 1]]


def test_maps_are_done_from_right_to_left():
    both = affine.scaling(2, 2) @ affine.translation(1, 0)
    assert moved([0, 0], both) == [2, 0]
