"""Which clips a video is cut into, and which frames they take: each pick against its definition."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.media.timelines import even_timeline, timelines
from videoproc.media import MediaError, Sampling
from videoproc.media.sampling import Timeline, wanted_frames, widen

SECONDS = st.floats(min_value=0.01, max_value=1e5)


def frames_of(timeline: Timeline, **settings: object) -> list[int]:
    """The frames of one clip of the whole video."""
    sampling = Sampling(**settings)
    return wanted_frames(
        timeline, sampling=sampling, start_s=0.0, end_s=timeline.duration_s
    ).tolist()


@st.composite
def even_samplings(draw: st.DrawFn, pick: str = "even") -> Sampling:
    k, places = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    return Sampling(pick=pick, num_frames=places * k, burst_frames=k, seed=draw(st.integers(0, 99)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_frames": 0}, "num_frames is 0: give 1 or more"),
        ({"num_frames": 16, "burst_frames": 3}, "burst_frames is 3: give a divisor"),
        ({"clip_s": -1.0}, "clip_s is -1.0: give a number above 0, or None"),
        ({"clip_s": float("nan")}, "clip_s is nan"),
        ({"pick": "best"}, "pick is 'best': use one of even, random, stride"),
        ({"pick": "rate"}, "pick is 'rate' and rate_fps is None: give rate_fps"),
        ({"rate_fps": 2.0}, "rate_fps is 2.0 and pick is 'even': use pick 'rate'"),
        ({"pick": "times", "times_s": [-1.0]}, r"times_s is \(-1.0,\): give seconds, 0 or more"),
        ({"pick": "stride", "stride_frames": 0}, "stride_frames is 0: give 1 or more"),
        ({"hop_s": 1.0}, "hop_s is 1.0 and clip_s is None: give clip_s"),
        ({"snap_s": -1.0}, "snap_s is -1.0: give seconds, 0 or more"),
        ({"snap_s": 1.0, "burst_frames": 2}, "bursts do not move"),
        (
            {"pick": "rate", "rate_fps": 1.0, "burst_frames": 2},
            "burst_frames is 2 and pick is 'rate'",
        ),
        ({"seed": -1}, "seed is -1: give 0 or more"),
        ({"num_frames": "8"}, "num_frames is '8': give a whole number"),
        ({"num_frames": 2.5}, "num_frames is 2.5: give a whole number"),
        ({"clip_s": "2"}, "clip_s is '2': give a number"),
        ({"pick": "times", "times_s": "12"}, "times_s is '12': give a list of seconds"),
        ({"pick": ["even"]}, r"pick is \['even'\]: use one of"),
        ({"clip_s": 1.0, "hop_s": 1e-5}, "hop_s is 1e-05: give 0.001 s or more"),
        ({"pick": "rate", "rate_fps": 1e7}, "rate_fps is 10000000.0: give 10000 or less"),
    ],
)
def test_wrong_settings_are_refused_with_field_value_and_remedy(settings, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**settings)


# How a video is cut


def test_without_a_clip_length_the_video_is_one_clip():
    assert Sampling().clip_spans(duration_s=7.3) == [(0.0, 7.3)]


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
    assert Sampling(clip_s=2.0).clip_spans(duration_s=duration_s) == spans


@pytest.mark.parametrize(
    ("duration_s", "spans"),
    [
        (4.0, [(0, 2), (1, 3), (2, 4)]),
        (4.4, [(0, 2), (1, 3), (2, 4)]),
        (4.5, [(0, 2), (1, 3), (2, 4), (2.5, 4.5)]),  # half a hop is left: one more, to the end
        (1.5, [(0, 1.5)]),
    ],
)
def test_windows_start_a_hop_apart_and_all_last_as_long(duration_s, spans):
    assert Sampling(clip_s=2.0, hop_s=1.0).clip_spans(duration_s=duration_s) == spans


@given(duration_s=SECONDS, clip_s=st.floats(min_value=0.1, max_value=1e4))
def test_spans_tile_the_video(duration_s, clip_s):
    assume(duration_s / clip_s <= 1000)
    spans = Sampling(clip_s=clip_s).clip_spans(duration_s=duration_s)
    assert spans[0][0] == 0
    assert spans[-1][1] == duration_s
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    assert all(start < end < start + 1.51 * clip_s for start, end in spans)


@given(timeline=timelines, clip_s=st.floats(min_value=0.05, max_value=5))
def test_spans_that_tile_a_video_share_no_frame_and_lose_none(timeline, clip_s):
    spans = Sampling(clip_s=clip_s).clip_spans(duration_s=timeline.duration_s)
    ranges = []
    for start_s, end_s in spans:
        first, stop = timeline.frames_within(start_s=start_s, end_s=end_s)
        assert 0 <= first < stop <= len(timeline.pts)
        times = timeline.seconds(timeline.pts)
        if ((times >= start_s + 0.001) & (times < end_s - 0.001)).any():
            ranges += range(first, stop)
    assert len(ranges) == len(set(ranges))


def test_context_widens_a_span_within_the_video():
    sampling = Sampling(context_s=1.5)
    assert widen((2.0, 3.0), sampling=sampling, duration_s=4.0) == (0.5, 4.0)


def test_a_span_in_a_gap_holds_the_frame_on_display():
    timeline = Timeline(
        pts=np.array([0, 10, 500]),
        end_pts=510,
        time_base=Fraction(1, 100),
        is_key=np.array([True, False, False]),
        is_cheap=np.ones(3, dtype=bool),
    )
    assert timeline.frames_within(start_s=1.0, end_s=2.0) == (1, 2)


# Which frames a clip takes


def test_even_takes_one_frame_from_the_centre_of_each_segment():
    assert frames_of(even_timeline(12), num_frames=3) == [2, 6, 10]


def test_a_burst_is_centred_in_its_segment():
    frames = frames_of(even_timeline(12), num_frames=6, burst_frames=2)
    assert frames == [1, 2, 5, 6, 9, 10]


def test_a_clip_shorter_than_a_burst_repeats_its_last_frame():
    assert frames_of(even_timeline(2), num_frames=4, burst_frames=4) == [0, 1, 1, 1]


@given(timeline=timelines, sampling=even_samplings())
def test_even_is_the_same_read_backwards_to_within_a_frame(timeline, sampling):
    n = len(timeline.pts)
    assume(n >= sampling.burst_frames)
    frames = wanted_frames(timeline, sampling=sampling, start_s=0, end_s=timeline.duration_s)
    assert np.abs(n - 1 - frames[::-1] - frames).max() <= 1


@given(timeline=timelines, data=st.data())
def test_bursts_are_consecutive_and_stay_within_the_clip(timeline, data):
    sampling = data.draw(st.sampled_from(["even", "random"]).flatmap(even_samplings))
    start_s = data.draw(st.floats(0, timeline.duration_s * 0.99))
    end_s = data.draw(st.floats(start_s + 1e-3, timeline.duration_s + 1))
    frames = wanted_frames(timeline, sampling=sampling, start_s=start_s, end_s=end_s)
    first, stop = timeline.frames_within(start_s=start_s, end_s=end_s)
    bursts = frames.reshape(-1, sampling.burst_frames)
    assert frames.min() >= first
    assert frames.max() < stop
    assert (np.diff(bursts[:, 0]) >= 0).all()
    if stop - first >= sampling.burst_frames:
        assert (np.diff(bursts, axis=1) == 1).all()


@given(timeline=timelines, sampling=even_samplings("random"))
def test_random_begins_a_burst_within_each_segment(timeline, sampling):
    n, k = len(timeline.pts), sampling.burst_frames
    places = sampling.num_frames // k
    assume(n >= places * k)
    frames = wanted_frames(timeline, sampling=sampling, start_s=0, end_s=timeline.duration_s)
    for i, burst in enumerate(frames.reshape(-1, k)):
        assert i * n // places <= burst[0]
        assert burst[-1] < (i + 1) * n // places or (i + 1) * n // places - i * n // places < k


def test_random_draws_by_its_seed_and_by_the_place_of_the_clip():
    def drawn(seed: int, start_s: float) -> list[int]:
        sampling = Sampling(pick="random", num_frames=4, seed=seed)
        frames = wanted_frames(
            even_timeline(1000), sampling=sampling, start_s=start_s, end_s=start_s + 20
        )
        return (frames - frames[0]).tolist()

    assert drawn(1, 0.0) == drawn(1, 0.0)
    assert drawn(1, 0.0) != drawn(2, 0.0)
    assert drawn(1, 0.0) != drawn(1, 20.0)


def test_stride_takes_frames_so_far_apart_from_the_clips_middle():
    settings = {"pick": "stride", "stride_frames": 3}
    assert frames_of(even_timeline(12), num_frames=3, **settings) == [2, 5, 8]
    assert frames_of(even_timeline(5), num_frames=3, **settings) == [0, 3, 4]


@given(timeline=timelines, fps=st.floats(0.05, 60), start=st.floats(0, 0.99))
def test_rate_takes_the_frame_on_display_at_each_step(timeline, fps, start):
    start_s = start * timeline.duration_s
    assume((timeline.duration_s - start_s) * fps < 500)
    sampling = Sampling(pick="rate", rate_fps=fps)
    frames = wanted_frames(
        timeline, sampling=sampling, start_s=start_s, end_s=timeline.duration_s
    ).tolist()
    step = 1 / Fraction(fps).limit_denominator(1_000_000)
    slack = min(Fraction(1, 2000), timeline.time_base / 2)
    expected, time = [], Fraction(start_s)
    while time < Fraction(timeline.duration_s) or not expected:
        begun = (timeline.pts - timeline.pts[0]) * timeline.time_base <= time + slack
        expected.append(max(np.flatnonzero(begun), default=0))
        time += step
    assert frames == expected


def test_a_very_low_rate_takes_the_first_frame():
    assert frames_of(even_timeline(50), pick="rate", rate_fps=1e-9) == [0]


def test_a_rate_of_the_videos_own_takes_every_frame():
    # 29.97 a second, its times rounded to milliseconds as Matroska has them.
    num_frames = 300
    pts = np.array([round(i * 1001 / 30) for i in range(num_frames)])
    timeline = Timeline(
        pts=pts,
        end_pts=round(num_frames * 1001 / 30),
        time_base=Fraction(1, 1000),
        is_key=pts == 0,
        is_cheap=np.ones(num_frames, dtype=bool),
    )
    frames = frames_of(timeline, pick="rate", rate_fps=30000 / 1001)
    assert frames == list(range(num_frames))


def test_times_take_the_frames_on_display_in_the_order_given():
    timeline = even_timeline(50)
    assert frames_of(timeline, pick="times", times_s=[1.0, 0.0, 0.05, 1.99]) == [25, 0, 1, 49]


def test_a_time_past_the_clip_is_an_error_that_names_it():
    with pytest.raises(MediaError, match=r"a frame at 2 s of the video .*the clip ends at 2 s"):
        frames_of(even_timeline(50), pick="times", times_s=[0.0, 2.0])


@given(timeline=timelines)
def test_keyframes_takes_all_that_there_are(timeline):
    assert frames_of(timeline, pick="keyframes") == np.flatnonzero(timeline.is_key).tolist()


def test_a_clip_without_a_key_frame_takes_the_last_before_it():
    sampling = Sampling(pick="keyframes")
    frames = wanted_frames(even_timeline(50), sampling=sampling, start_s=0.5, end_s=0.7)
    assert frames.tolist() == [10]


def test_a_clip_past_the_end_is_an_error_that_names_both_times():
    with pytest.raises(MediaError, match=r"a clip from 3.0 s is wanted, the video lasts 2.0 s"):
        wanted_frames(even_timeline(50), sampling=Sampling(), start_s=3.0, end_s=4.0)


def test_the_number_of_frames_is_known_where_it_does_not_depend_on_the_clip():
    assert Sampling(num_frames=8).frames_per_clip == 8
    assert Sampling(pick="times", times_s=[1, 2, 3]).frames_per_clip == 3
    assert Sampling(pick="rate", rate_fps=2.0).frames_per_clip is None


# Moving to what costs less


def test_a_sample_snaps_to_the_nearest_key_frame_within_reach():
    timeline = even_timeline(50)  # key frames at 0, 10, 20 ...
    times = {"pick": "times", "times_s": [0.28, 0.56]}  # frames 7 and 14
    assert frames_of(timeline, **times, snap_s=0.16) == [10, 10]


def test_the_last_sample_of_a_group_snaps_to_the_earliest_cheap_frame_and_others_to_the_nearest():
    timeline = even_timeline(40, key_every=40)  # cheap: 0, 3, 6, 9, ...
    times = {"pick": "times", "times_s": [0.52, 1.0]}  # frames 13 and 25
    assert frames_of(timeline, **times, snap_s=0.16) == [12, 21]


@given(timeline=timelines, num_frames=st.integers(1, 12), snap_s=st.floats(0.001, 2))
def test_snapping_stays_within_its_tolerance_and_never_costs_more(timeline, num_frames, snap_s):
    exact = np.array(frames_of(timeline, num_frames=num_frames))
    snapped = np.array(frames_of(timeline, num_frames=num_frames, snap_s=snap_s))
    moved = np.abs(timeline.pts[snapped] - timeline.pts[exact])
    assert (moved <= math.floor(Fraction(snap_s) / timeline.time_base)).all()
    assert depth(timeline, snapped) <= depth(timeline, exact)


def depth(timeline: Timeline, frames: np.ndarray) -> int:
    """Cheap frames on the way to the frames: from each group's key frame to its last sample."""
    keys = np.flatnonzero(timeline.is_key)
    groups = np.searchsorted(keys, frames, side="right") - 1
    total = 0
    for group in set(groups.tolist()):
        last = frames[groups == group].max()
        total += int(timeline.is_cheap[keys[group] : last + 1].sum())
    return total


def test_only_settings_that_were_changed_make_a_clips_id():
    assert Sampling().to_dict() == {}
    assert Sampling(num_frames=8, clip_s=2.0).to_dict() == {"num_frames": 8, "clip_s": 2.0}
