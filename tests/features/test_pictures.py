"""Frames are measured in grey at a bounded size; what stands out is found."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.features.pictures import (
    LONGEST_PX,
    MOVING_LEVELS,
    SHORTEST_PX,
    cell_means,
    direction_histogram,
    foreground,
    grey_frames,
    moving,
    opencv,
    shares,
)


@pytest.mark.parametrize(
    ("size", "made"),
    [
        ((96, 96), (96, 96)),
        ((480, 640), (96, LONGEST_PX)),
        ((1080, 608), (LONGEST_PX, 72)),
        ((1, 1), (SHORTEST_PX, SHORTEST_PX)),
        ((1, 500), (SHORTEST_PX, LONGEST_PX)),
    ],
)
def test_grey_frames_keep_their_shape_between_the_smallest_and_the_largest_side(size, made):
    assert grey_frames(np.zeros((2, *size, 3), np.uint8)).shape == (2, *made)


def test_grey_is_luma():
    frames = np.zeros((3, 16, 16, 3), np.uint8)
    for channel in range(3):
        frames[channel, ..., channel] = 255
    assert grey_frames(frames)[:, 0, 0].tolist() == [76, 150, 29]  # 0.299, 0.587, 0.114


def test_at_most_so_many_frames_are_taken_evenly_from_first_to_last():
    frames = np.arange(10, dtype=np.uint8)[:, None, None, None].repeat(3, axis=-1)
    assert grey_frames(frames, most=4)[:, 0, 0].tolist() == [0, 3, 6, 9]
    assert len(grey_frames(frames, most=20)) == 10


def test_cells_are_means_from_the_top_left():
    values = np.zeros((6, 9))
    values[:2, 6:] = 5
    assert cell_means(values, 3).tolist() == [0, 0, 5, 0, 0, 0, 0, 0, 0]


@pytest.mark.parametrize(("inside", "outside"), [(200, 20), (20, 200)])
def test_the_foreground_is_the_smaller_class_bright_or_dark(inside, outside):
    grey = np.full((40, 40), outside, np.uint8)
    grey[5:15, 5:20] = inside
    mask = foreground(grey)
    assert mask[5:15, 5:20].all()
    assert mask.sum() == 150


def test_a_frame_of_one_value_has_no_foreground():
    assert not foreground(np.full((16, 16), 90, np.uint8)).any()


def test_what_moves_is_what_changes_by_more_than_noise():
    before = np.full((20, 20), 100, np.uint8)
    after = before.copy()
    after[5:10, 5:10] += MOVING_LEVELS
    assert moving(before, after)[6:9, 6:9].all()
    assert moving(before, after).sum() == 9  # the border of the mean over 3 x 3 is below
    assert not moving(before, before + MOVING_LEVELS - 1).any()


def test_directions_go_clockwise_from_the_right_and_bins_are_centred():
    right, down, almost_right = 0.0, np.pi / 2, 2 * np.pi - 0.01
    angles = np.array([[right, down, almost_right]])
    assert direction_histogram(angles, np.array([[1.0, 2.0, 4.0]]), 4).tolist() == [5, 2, 0, 0]


def test_shares_sum_to_one_or_there_are_none():
    assert shares(np.array([1.0, 3.0])).tolist() == [0.25, 0.75]
    assert shares(np.zeros(2)).tolist() == [0, 0]


def test_opencv_runs_on_one_thread():
    assert opencv().getNumThreads() == 1
