"""Time: which frame is shown when."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.augment import Augmentation, timing


def shown(num_frames=8, *, lost=(), **changes):
    keep = {"speed": 1.0, "shift": 0.0, "backwards": False}
    lost_t = np.isin(np.arange(num_frames), lost)
    return timing.plan(num_frames, lost_t=lost_t, **keep | changes).source_t


@pytest.mark.parametrize("num_frames", [1, 2, 7, 16, 100])
def test_at_its_own_speed_a_clip_is_itself(num_frames):
    assert shown(num_frames) == tuple(range(num_frames))


def test_double_speed_shows_every_other_frame_about_the_middle():
    assert shown(speed=2.0) == (0, 0, 1, 3, 5, 7, 7, 7)


def test_half_speed_shows_the_middle_twice_as_long():
    assert shown(speed=0.5) == (2, 2, 3, 3, 4, 4, 5, 5)


@pytest.mark.parametrize(
    ("shift", "expected"), [(0.25, (2, 3, 4, 5, 6, 7, 7, 7)), (-0.25, (0, 0, 0, 1, 2, 3, 4, 5))]
)
def test_a_shift_moves_the_clip_and_its_ends_stand_still(shift, expected):
    assert shown(shift=shift) == expected


def test_backwards_is_backwards():
    assert shown(backwards=True) == (7, 6, 5, 4, 3, 2, 1, 0)


def test_in_place_of_a_lost_frame_the_one_before_is_shown():
    assert shown(lost=(0, 2, 3, 7)) == (0, 1, 1, 1, 4, 5, 6, 6)


def test_backwards_the_one_before_is_the_one_shown_before():
    assert shown(5, backwards=True, lost=(3,)) == (4, 3, 2, 2, 0)


def test_the_share_of_lost_frames_is_the_one_asked_for():
    params = timing.draw(np.random.default_rng(0), Augmentation(drop=0.3), (4000, 4, 4))
    assert abs((params.source_t != np.arange(4000)).mean() - 0.3) < 0.03


def test_speeds_are_drawn_as_often_slow_as_fast_up_to_the_one_asked_for():
    rng, settings = np.random.default_rng(0), Augmentation(max_speed=2.0)
    speeds = np.array([1 / timing.draw(rng, settings, (8, 4, 4)).scale for _ in range(1000)])
    assert 0.5 <= speeds.min() < 0.51
    assert 1.98 < speeds.max() <= 2
    assert abs((speeds > 1).mean() - 0.5) < 0.05
