"""Which frames are compared, and a course told in few numbers."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.features.over_time import (
    mean_and_deviation,
    mean_and_deviation_columns,
    means_of_parts,
    steps_of,
)


def pairs(pts_s):
    steps = steps_of(np.array(pts_s))
    return list(zip(steps.first.tolist(), steps.second.tolist(), strict=True))


def test_evenly_sampled_frames_are_compared_each_with_the_next():
    assert pairs([0.0, 0.16, 0.36, 0.52]) == [(0, 1), (1, 2), (2, 3)]


def test_pairs_across_two_bursts_are_left_out():
    assert pairs([0.0, 0.04, 1.0, 1.04, 2.0, 2.04]) == [(0, 1), (2, 3), (4, 5)]
    assert pairs([0.0, 0.033, 0.067, 1.0, 1.033, 1.067]) == [(0, 1), (1, 2), (3, 4), (4, 5)]


def test_frames_at_random_places_are_not_bursts_because_two_are_near():
    assert len(pairs([0.0, 0.04, 0.5, 0.9, 1.6, 2.0])) == 5


def test_a_moment_that_is_shown_twice_is_not_compared_with_itself():
    assert pairs([0.0, 0.04, 0.04, 0.08]) == [(0, 1), (2, 3)]


def test_a_clip_played_backwards_has_the_same_pairs_and_times():
    pts_s = np.array([0.0, 0.04, 1.0, 1.04])
    assert pairs(pts_s[::-1]) == pairs(pts_s)
    assert steps_of(pts_s[::-1]).elapsed_s == pytest.approx([0.04, 0.04])


@pytest.mark.parametrize("pts_s", [[0.0], [0.5, 0.5, 0.5]])
def test_without_time_there_is_nothing_to_compare(pts_s):
    assert len(steps_of(np.array(pts_s))) == 0


def test_parts_of_a_course_are_its_means():
    assert means_of_parts(np.array([1.0, 3.0, 5.0, 5.0]), 2).tolist() == [2, 5]


def test_a_value_across_an_edge_counts_in_both_parts_by_its_share():
    assert means_of_parts(np.array([0.0, 6.0, 9.0]), 2) == pytest.approx([2, 8])
    assert means_of_parts(np.array([0.0, 6.0]), 4).tolist() == [0, 0, 6, 6]


@pytest.mark.parametrize("num_steps", [1, 2, 5, 16, 31])
def test_parts_keep_the_mean_of_the_course(num_steps):
    course = np.random.default_rng(num_steps).uniform(size=(num_steps, 2))
    for num_parts in (1, 3, 16):
        parts = means_of_parts(course, num_parts)
        assert parts.shape == (num_parts, 2)
        assert parts.mean(axis=0) == pytest.approx(course.mean(axis=0))


def test_means_come_before_deviations_as_the_columns_say():
    assert mean_and_deviation_columns(["a", "b"]) == (
        "a_mean",
        "b_mean",
        "a_deviation",
        "b_deviation",
    )
    assert mean_and_deviation(np.array([[1.0, 4.0], [3.0, 4.0]])).tolist() == [2, 4, 1, 0]
    assert mean_and_deviation(np.zeros((0, 2))).tolist() == [0, 0, 0, 0]
