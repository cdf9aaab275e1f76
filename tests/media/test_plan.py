"""The arithmetic of sampling: which spans, which frames, which groups of pictures."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoproc.media.plan import (
    Sampling,
    Size,
    clip_spans,
    plan_visits,
    sample_indices,
    span_frames,
)

SECONDS = st.floats(min_value=0.01, max_value=1e5)


@st.composite
def samplings(draw: st.DrawFn) -> Sampling:
    burst_frames = draw(st.integers(1, 8))
    positions = draw(st.integers(1, 20))
    return Sampling(num_frames=positions * burst_frames, burst_frames=burst_frames)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sampling(num_frames=0), "num_frames is 0: give 1 or more"),
        (lambda: Sampling(num_frames=16, burst_frames=3), "burst_frames is 3: give a divisor"),
        (lambda: Sampling(clip_s=-1.0), "clip_s is -1.0: give seconds above 0, or None"),
        (lambda: Sampling(clip_s=float("nan")), "clip_s is nan"),
        (lambda: Size(height=0), "height is 0: give 1 pixel or more"),
    ],
)
def test_wrong_settings_are_refused_with_field_value_and_remedy(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_without_a_clip_length_the_video_is_one_clip():
    assert clip_spans(duration_s=7.3, clip_s=None) == [(0.0, 7.3)]


@pytest.mark.parametrize(
    ("duration_s", "spans"),
    [
        (4.0, [(0, 2), (2, 4)]),
        (4.9, [(0, 2), (2, 4.9)]),  # 0.9 is less than half of 2: it joins
        (5.0, [(0, 2), (2, 4), (4, 5)]),
        (0.5, [(0, 0.5)]),  # shorter than one clip: still one
    ],
)
def test_a_rest_shorter_than_half_a_clip_joins_the_span_before(duration_s, spans):
    assert clip_spans(duration_s=duration_s, clip_s=2.0) == spans


@given(duration_s=SECONDS, clip_s=st.floats(min_value=0.1, max_value=1e4))
def test_spans_tile_the_video(duration_s, clip_s):
    if duration_s / clip_s > 1000:
        return
    spans = clip_spans(duration_s=duration_s, clip_s=clip_s)
    assert spans[0][0] == 0
    assert spans[-1][1] == duration_s
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert all(start < end < start + 1.51 * clip_s for start, end in spans)


@given(
    gaps=st.lists(st.integers(1, 5000), min_size=1, max_size=60),
    clip_s=st.floats(min_value=0.05, max_value=5),
)
def test_spans_that_tile_a_video_share_no_frame_and_lose_none(gaps, clip_s):
    frame_pts = np.cumsum(gaps) + 777
    time_base = Fraction(1, 1000)
    duration_s = float((frame_pts[-1] - frame_pts[0] + gaps[-1]) * time_base)
    ranges = []
    for start_s, end_s in clip_spans(duration_s=duration_s, clip_s=clip_s):
        first, stop = span_frames(
            frame_pts=frame_pts, time_base=time_base, start_s=start_s, end_s=end_s
        )
        assert 0 <= first < stop <= len(frame_pts)
        times = (frame_pts - frame_pts[0]) / 1000
        if ((times >= start_s + 0.001) & (times < end_s - 0.001)).any():
            ranges += range(first, stop)
    assert len(ranges) == len(set(ranges))


def test_a_span_in_a_gap_holds_the_frame_on_display():
    frame_pts = np.array([0, 10, 500])
    span = span_frames(frame_pts=frame_pts, time_base=Fraction(1, 100), start_s=1.0, end_s=2.0)
    assert span == (1, 2)


def test_one_frame_is_taken_from_the_centre_of_each_segment():
    indices = sample_indices(num_frames_available=12, sampling=Sampling(num_frames=3))
    assert indices.tolist() == [2, 6, 10]


def test_a_burst_is_centred_in_its_segment():
    sampling = Sampling(num_frames=6, burst_frames=2)
    assert sample_indices(num_frames_available=12, sampling=sampling).tolist() == [
        *(1, 2),
        *(5, 6),
        *(9, 10),
    ]


def test_a_span_shorter_than_a_burst_repeats_its_last_frame():
    sampling = Sampling(num_frames=4, burst_frames=4)
    assert sample_indices(num_frames_available=2, sampling=sampling).tolist() == [0, 1, 1, 1]


@given(num_frames_available=st.integers(1, 10**7), sampling=samplings())
def test_bursts_are_consecutive_ascend_and_stay_within_the_span(num_frames_available, sampling):
    indices = sample_indices(num_frames_available=num_frames_available, sampling=sampling)
    bursts = indices.reshape(-1, sampling.burst_frames)
    assert indices.shape == (sampling.num_frames,)
    assert indices.min() >= 0
    assert indices.max() < num_frames_available
    assert (np.diff(bursts[:, 0]) >= 0).all()
    if num_frames_available >= sampling.burst_frames:
        assert (np.diff(bursts, axis=1) == 1).all()


@given(num_frames_available=st.integers(1, 10**6), sampling=samplings())
def test_sampling_is_the_same_read_backwards_to_within_a_frame(num_frames_available, sampling):
    indices = sample_indices(num_frames_available=num_frames_available, sampling=sampling)
    if num_frames_available < sampling.burst_frames:
        return
    mirrored = num_frames_available - 1 - indices[::-1]
    assert np.abs(mirrored - indices).max() <= 1


def test_each_group_is_visited_once_and_from_its_own_key_frame():
    visits = plan_visits(
        wanted_pts=np.array([5, 7, 31, 5]), keyframe_pts=np.array([0, 10, 20, 30, 40])
    )
    assert [(visit.seek_pts, visit.wanted_pts) for visit in visits] == [(0, (5, 7)), (30, (31,))]


@given(
    wanted=st.lists(st.integers(0, 1000), min_size=1),
    keys=st.sets(st.integers(1, 1000)).map(lambda keys: sorted({0, *keys})),
)
def test_visits_cover_the_wanted_frames_from_the_nearest_key_before(wanted, keys):
    visits = plan_visits(wanted_pts=np.array(wanted), keyframe_pts=np.array(keys))
    assert [pts for visit in visits for pts in visit.wanted_pts] == sorted(set(wanted))
    for visit in visits:
        for pts in visit.wanted_pts:
            assert visit.seek_pts == max(key for key in keys if key <= pts)
