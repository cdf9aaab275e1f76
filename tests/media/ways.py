"""The ways to sample a video that the exactness tests try, and what each of them means.

The meaning is written down here a second time, in exact fractions and frame by frame, from the
times of a linear decode: nothing of videoproc's own arithmetic is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Any

from tests.media.reference import Reference
from videoproc.media import Sampling

Span = tuple[float, float]
KNOWN_FIELDS = {field.name for field in fields(Sampling)}


@dataclass(frozen=True, kw_only=True)
class Way:
    """settings: Sampling's, given the video's frames and seconds. spans: given its seconds.

    is_long: tried on every file in the long tests only.
    """

    settings: Callable[[int, float], dict[str, Any]]
    spans: Callable[[float], list[Span]] | None = None
    is_long: bool = False

    @property
    def is_known(self) -> bool:
        """Whether Sampling has all of its fields."""
        return set(self.settings(48, 2.0)) <= KNOWN_FIELDS


def _out_of_order(seconds: float) -> list[Span]:
    parts = [(0.5, 0.9), (0.0, 0.3), (0.2, 0.6), (0.5, 0.9), (0.95, 1.0)]
    return [(start * seconds, end * seconds) for start, end in parts]


def _two_spans(seconds: float) -> list[Span]:
    return [(0.4 * seconds, 0.5 * seconds), (0.0, 0.1 * seconds)]


ALL_WAYS = {
    "one": Way(settings=lambda _n, _d: {"num_frames": 1}, is_long=True),
    "sparse": Way(settings=lambda _n, _d: {"num_frames": 4}),
    "all": Way(settings=lambda n, _d: {"num_frames": n}),
    "more_than_there_are": Way(settings=lambda n, _d: {"num_frames": n + 7}, is_long=True),
    "bursts": Way(settings=lambda _n, _d: {"num_frames": 9, "burst_frames": 3}),
    "pieces": Way(settings=lambda _n, d: {"num_frames": 2, "clip_s": d / 5.3}),
    "bursts_of_pieces": Way(
        settings=lambda _n, d: {"num_frames": 4, "burst_frames": 4, "clip_s": d / 7}, is_long=True
    ),
    "spans": Way(settings=lambda _n, _d: {"num_frames": 3}, spans=_out_of_order),
    "random": Way(
        settings=lambda _n, _d: {"pick": "random", "num_frames": 6, "burst_frames": 2, "seed": 3}
    ),
    "random_pieces": Way(
        settings=lambda _n, d: {"pick": "random", "num_frames": 3, "seed": 1, "clip_s": d / 3},
        is_long=True,
    ),
    "stride": Way(settings=lambda _n, _d: {"pick": "stride", "num_frames": 5, "stride_frames": 7}),
    "stride_of_1": Way(
        settings=lambda _n, _d: {"pick": "stride", "num_frames": 8, "stride_frames": 1},
        is_long=True,
    ),
    "long_stride": Way(
        settings=lambda _n, _d: {"pick": "stride", "num_frames": 8, "stride_frames": 11},
        is_long=True,
    ),
    "rate": Way(settings=lambda _n, d: {"pick": "rate", "rate_fps": min(3.0, 50 / d)}),
    "high_rate": Way(settings=lambda _n, d: {"pick": "rate", "rate_fps": 90 / d}, is_long=True),
    "rate_of_pieces": Way(
        settings=lambda _n, d: {"pick": "rate", "rate_fps": 7 / d, "clip_s": d / 3}, is_long=True
    ),
    "times": Way(
        settings=lambda _n, d: {"pick": "times", "times_s": (0.7 * d, 0.0, 0.31 * d, 0.995 * d)}
    ),
    "keyframes": Way(settings=lambda _n, _d: {"pick": "keyframes"}),
    "keyframes_of_pieces": Way(
        settings=lambda _n, d: {"pick": "keyframes", "clip_s": d / 4}, is_long=True
    ),
    "overlapping": Way(settings=lambda _n, d: {"num_frames": 2, "clip_s": d / 3, "hop_s": d / 7}),
    "apart": Way(
        settings=lambda _n, d: {"num_frames": 2, "clip_s": d / 9, "hop_s": d / 4}, is_long=True
    ),
    "context": Way(
        settings=lambda _n, d: {"num_frames": 4, "context_s": 0.15 * d}, spans=_two_spans
    ),
    "snapped": Way(settings=lambda _n, d: {"num_frames": 4, "snap_s": 0.1 * d}),
    "far_snapped": Way(
        settings=lambda _n, d: {"pick": "rate", "rate_fps": 9 / d, "snap_s": 0.5 * d}, is_long=True
    ),
}

WAYS = {name: way for name, way in ALL_WAYS.items() if way.is_known}


def expected_spans(way: Way, reference: Reference) -> list[Span]:
    """Which clips there are: seconds from the first frame."""
    seconds = reference.duration_s
    settings = way.settings(len(reference.frames), seconds)
    if way.spans is not None:
        return way.spans(seconds)
    clip_s, hop_s = settings.get("clip_s"), settings.get("hop_s")
    if clip_s is None:
        return [(0.0, seconds)]
    if hop_s is None:
        starts = [0.0]
        while seconds - (len(starts) * clip_s) >= clip_s / 2:
            starts.append(len(starts) * clip_s)
        return list(zip(starts, [*starts[1:], seconds], strict=True))
    if seconds <= clip_s:
        return [(0.0, seconds)]
    starts = [0.0]
    while len(starts) * hop_s + clip_s <= seconds:
        starts.append(len(starts) * hop_s)
    if seconds - (starts[-1] + clip_s) >= hop_s / 2:
        starts.append(seconds - clip_s)
    return [(start, start + clip_s) for start in starts]


def allowed_frames(
    way: Way, reference: Reference, *, start_s: float, end_s: float
) -> list[range | list[int]]:
    """For each place of a clip the frames that may stand there: one, unless chance or snap_s
    leaves a choice."""
    settings = way.settings(len(reference.frames), reference.duration_s)
    if context_s := settings.get("context_s"):
        start_s = max(0.0, start_s - context_s)
        end_s = min(reference.duration_s, end_s + context_s)
    pick = settings.get("pick", "even")
    allowed = _PICKS[pick](reference, settings, start_s, end_s)
    if snap_s := settings.get("snap_s"):
        times = reference.times
        return [
            [i for i, time in enumerate(times) if abs(time - times[frame]) <= Fraction(snap_s)]
            for (frame,) in allowed
        ]
    return allowed


def _slack(reference: Reference) -> Fraction:
    """Containers round times, Matroska to milliseconds: a frame due at 0.0667 s has 0.067."""
    return min(reference.time_base / 2, Fraction(1, 2000))


def _on_display(reference: Reference, seconds: float | Fraction) -> int:
    """The last frame that began by then."""
    at = Fraction(seconds) + _slack(reference)
    return max((i for i, time in enumerate(reference.times) if time <= at), default=0)


def _within(reference: Reference, start_s: float, end_s: float) -> list[int]:
    """The frames that begin in the span; where none does, the one that is on display."""
    lo, hi = Fraction(start_s) - _slack(reference), Fraction(end_s) - _slack(reference)
    within = [i for i, time in enumerate(reference.times) if lo <= time < hi]
    return within or [_on_display(reference, start_s)]


Picked = list[range | list[int]]


def _even(reference: Reference, settings: dict[str, Any], start_s: float, end_s: float) -> Picked:
    frames = _within(reference, start_s, end_s)
    n, k = len(frames), settings.get("burst_frames", 1)
    places = settings["num_frames"] // k
    picked: Picked = []
    for place in range(places):
        middle = Fraction(2 * place + 1, 2) * n / places
        begin = min(max(0, math.floor(middle - Fraction(k - 1, 2))), max(0, n - k))
        picked += [[frames[min(begin + i, n - 1)]] for i in range(k)]
    return picked


def _random(reference: Reference, settings: dict[str, Any], start_s: float, end_s: float) -> Picked:
    """Somewhere in its own segment of the clip."""
    frames = _within(reference, start_s, end_s)
    n, k = len(frames), settings.get("burst_frames", 1)
    places = settings["num_frames"] // k
    picked: Picked = []
    for place in range(places):
        lo, hi = n * place // places, n * (place + 1) // places
        reach = range(min(lo, max(0, n - k)), max(hi, lo + k))
        picked += [[frames[min(i, n - 1)] for i in reach]] * k
    return picked


def _stride(reference: Reference, settings: dict[str, Any], start_s: float, end_s: float) -> Picked:
    frames = _within(reference, start_s, end_s)
    count, stride = settings["num_frames"], settings["stride_frames"]
    spare = len(frames) - ((count - 1) * stride + 1)
    begin = max(0, spare) // 2
    return [[frames[min(begin + i * stride, len(frames) - 1)]] for i in range(count)]


def _rate(reference: Reference, settings: dict[str, Any], start_s: float, end_s: float) -> Picked:
    rate = Fraction(settings["rate_fps"]).limit_denominator(1_000_000)
    end = Fraction(min(end_s, reference.duration_s))
    picked: Picked = []
    at = Fraction(start_s)
    while at < end or not picked:
        picked.append([_on_display(reference, at)])
        at += 1 / rate
    return picked


def _times(reference: Reference, settings: dict[str, Any], start_s: float, _: float) -> Picked:
    return [[_on_display(reference, start_s + time_s)] for time_s in settings["times_s"]]


def _keyframes(reference: Reference, _: dict[str, Any], start_s: float, end_s: float) -> Picked:
    frames = _within(reference, start_s, end_s)
    keys = [i for i, is_key in enumerate(reference.is_key) if is_key]
    within = [i for i in keys if i in frames]
    before = [i for i in keys if i < frames[0]]
    return [[i] for i in within or before[-1:] or keys[:1] or frames[:1]]


_PICKS: dict[str, Callable[[Reference, dict[str, Any], float, float], Picked]] = {
    "even": _even,
    "random": _random,
    "stride": _stride,
    "rate": _rate,
    "times": _times,
    "keyframes": _keyframes,
}
