"""Boxes moved by affine maps."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.geometry import affine, boxes

BOXES = np.array([[1.0, 2.0, 4.0, 8.0], [0.0, 0.0, 10.0, 10.0]])


def test_a_mirrored_box_has_its_edges_in_order():
    mirrored = boxes.transform(BOXES, affine.about((5, 5), affine.scaling(-1, 1)))
    assert mirrored.tolist() == [[6, 2, 9, 8], [0, 0, 10, 10]]


def test_a_quarter_turn_swaps_the_sides():
    turned = boxes.transform(BOXES, affine.about((5, 5), affine.rotation(90)))
    assert turned == pytest.approx(np.array([[2, 6, 8, 9], [0, 0, 10, 10.0]]))


def test_the_box_of_a_square_turned_by_45_degrees_is_wider_by_the_root_of_two():
    turned = boxes.transform(BOXES[1:], affine.about((5, 5), affine.rotation(45)))
    assert boxes.areas(turned) == pytest.approx([200])


def test_a_box_out_of_the_frame_keeps_its_row_and_has_no_area():
    found = boxes.clip(BOXES + np.array([0, 7, 0, 7]), height=8, width=3)
    assert found.tolist() == [[1, 8, 3, 8], [0, 7, 3, 8]]
    assert boxes.areas(found).tolist() == [0, 3]


def test_no_boxes_stay_no_boxes():
    assert boxes.transform(np.zeros((0, 4)), affine.rotation(30)).shape == (0, 4)
