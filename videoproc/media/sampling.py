"""Which frames of a video make its clips: arithmetic on times, no I/O.

Frames are counted in presentation order from 0. Times are seconds from the first frame for
people, and integer ticks of the stream's time base where frames are told apart.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from fractions import Fraction
from typing import Literal

import numpy as np

from videoproc.media.errors import MediaError

MIN_CLIP_S = 0.001
MAX_RATE_FPS = 10_000  # beyond the fastest cameras: a slip would take hours

Pick = Literal["even", "random", "stride", "rate", "times", "keyframes"]


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a video is cut into clips, and which frames each clip takes.

    Args:
        pick: how frames are chosen. even: `num_frames` in the middle of equal segments. random:
            one place drawn in each segment (as TSN does). stride: `num_frames`, `stride_frames`
            apart. rate: `rate_fps` a second. times: at `times_s`. keyframes: every key frame.
        num_frames: T, the frames of a clip, for even, random and stride.
        burst_frames: k, for even and random: how many consecutive frames stand at each place; there
            are T/k places.
        seed: for random; the same seed draws the same frames of the same clip.
        stride_frames: for stride: from a frame to the next; the T frames lie in the clip's middle.
        rate_fps: for rate: the frames on display at the clip's start and every 1/rate_fps s after.
        times_s: for times: the frames on display so many seconds after the clip's start.
        clip_s: a clip's length in seconds; None makes one clip of the whole video.
        hop_s: seconds from the start of a clip to that of the next; by default clip_s.
        context_s: spans that are given are widened by so many seconds on both sides.
        snap_s: a frame may be replaced by one so many seconds away that costs less to decode.
    """

    pick: Pick = "even"
    num_frames: int = 16
    burst_frames: int = 1
    seed: int = 0
    stride_frames: int | None = None
    rate_fps: float | None = None
    times_s: tuple[float, ...] | None = None
    clip_s: float | None = None
    hop_s: float | None = None
    context_s: float = 0.0
    snap_s: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.pick, str) or self.pick not in PICKS:
            raise ValueError(f"pick is {self.pick!r}: use one of {', '.join(PICKS)}")
        for name in ("num_frames", "burst_frames", "seed", "stride_frames"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                raise ValueError(f"{name} is {value!r}: give a whole number")
        for name in ("rate_fps", "clip_s", "hop_s", "context_s", "snap_s"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, int | float):
                raise ValueError(f"{name} is {value!r}: give a number")
        if self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}: give 1 or more")
        if self.burst_frames < 1 or self.num_frames % self.burst_frames:
            raise ValueError(
                f"burst_frames is {self.burst_frames}: give a divisor of "
                f"num_frames ({self.num_frames})"
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: give 0 or more")
        if isinstance(self.times_s, str):
            raise ValueError(f"times_s is {self.times_s!r}: give a list of seconds")
        if self.times_s is not None:  # YAML and JSON give lists
            object.__setattr__(self, "times_s", tuple(float(time_s) for time_s in self.times_s))
        self._check_what_belongs_together()
        for name in ("clip_s", "hop_s", "rate_fps"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value}: give a number above 0, or None")
        for name in ("clip_s", "hop_s"):
            if (value := getattr(self, name)) is not None and value < MIN_CLIP_S:
                raise ValueError(f"{name} is {value}: give {MIN_CLIP_S} s or more")
        if self.rate_fps is not None and self.rate_fps > MAX_RATE_FPS:
            raise ValueError(f"rate_fps is {self.rate_fps}: give {MAX_RATE_FPS} or less")
        for name in ("context_s", "snap_s"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} is {value}: give seconds, 0 or more")

    def _check_what_belongs_together(self) -> None:
        for name, pick in _BELONGS_TO.items():
            value = getattr(self, name)
            if self.pick == pick and value is None:
                raise ValueError(f"pick is {pick!r} and {name} is None: give {name}")
            if self.pick != pick and value is not None:
                raise ValueError(f"{name} is {value} and pick is {self.pick!r}: use pick {pick!r}")
        if self.stride_frames is not None and self.stride_frames < 1:
            raise ValueError(f"stride_frames is {self.stride_frames}: give 1 or more")
        if self.times_s is not None and not (
            self.times_s and all(math.isfinite(time_s) and time_s >= 0 for time_s in self.times_s)
        ):
            raise ValueError(f"times_s is {self.times_s}: give seconds, 0 or more, one at least")
        if self.burst_frames > 1 and self.pick not in ("even", "random"):
            raise ValueError(
                f"burst_frames is {self.burst_frames} and pick is {self.pick!r}: "
                "use pick 'even' or 'random'"
            )
        if self.burst_frames > 1 and self.snap_s > 0:
            raise ValueError(
                f"snap_s is {self.snap_s} and burst_frames is {self.burst_frames}: "
                "bursts do not move, use one of the two"
            )
        if self.hop_s is not None and self.clip_s is None:
            raise ValueError(f"hop_s is {self.hop_s} and clip_s is None: give clip_s")

    @property
    def frames_per_clip(self) -> int | None:
        """T where every clip has the same, None where it depends on the clip."""
        if self.pick == "times":
            assert self.times_s is not None
            return len(self.times_s)
        return self.num_frames if self.pick in ("even", "random", "stride") else None

    def most_frames(self, *, start_s: float, end_s: float) -> int:
        """How many frames a clip takes at most; a guess for key frames: two a second."""
        if self.frames_per_clip is not None:
            return self.frames_per_clip
        return math.ceil((end_s - start_s) * (self.rate_fps or 2.0)) + 1

    def to_dict(self) -> dict[str, object]:
        """The fields that are not at their defaults: what a clip's id is made from."""
        return {
            item.name: value
            for item in fields(self)
            if (value := getattr(self, item.name)) != item.default
        }

    def clip_spans(self, *, duration_s: float) -> list[tuple[float, float]]:
        """(start_s, end_s) of each clip of a video of `duration_s`.

        Without hop_s clips follow each other without gap or overlap, and a rest shorter than half
        of clip_s joins the clip before it. With hop_s every clip lasts clip_s; where half a hop or
        more is left over, a last one ends with the video. A short video is one clip.
        """
        if self.clip_s is None:
            return [(0.0, duration_s)]
        if self.hop_s is not None:
            return _windows(duration_s, clip_s=self.clip_s, hop_s=self.hop_s)
        num_whole = int(duration_s // self.clip_s)
        has_rest = duration_s - num_whole * self.clip_s >= self.clip_s / 2
        num_spans = max(1, num_whole + has_rest)
        edges = [i * self.clip_s for i in range(num_spans)] + [duration_s]
        return list(itertools.pairwise(edges))


_BELONGS_TO = {"stride_frames": "stride", "rate_fps": "rate", "times_s": "times"}


def _windows(duration_s: float, *, clip_s: float, hop_s: float) -> list[tuple[float, float]]:
    if duration_s <= clip_s:
        return [(0.0, duration_s)]
    num_whole = int((duration_s - clip_s) // hop_s) + 1
    starts = [i * hop_s for i in range(num_whole)]
    if duration_s - (starts[-1] + clip_s) >= hop_s / 2:
        starts.append(duration_s - clip_s)
    return [(start_s, start_s + clip_s) for start_s in starts]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A video's frames in presentation order.

    pts: int64, ascending, unique; ticks of `time_base`. end_pts: when the last frame's display
    ends. is_key: bool, whether decoding can begin at it. is_cheap: bool, whether it is decoded in
    any case on the way to frames that are stored after it. All of one length. order: where packets
    do not tell frames apart, their numbers in the order in which the decoder delivers them.
    """

    pts: np.ndarray
    end_pts: int
    time_base: Fraction
    is_key: np.ndarray
    is_cheap: np.ndarray
    order: np.ndarray | None = None

    @functools.cached_property
    def keys(self) -> np.ndarray:
        """The numbers of the key frames."""
        return np.flatnonzero(self.is_key)

    @functools.cached_property
    def cheap(self) -> np.ndarray:
        """The numbers of the cheap frames."""
        return np.flatnonzero(self.is_cheap)

    @property
    def duration_s(self) -> float:
        return float((self.end_pts - int(self.pts[0])) * self.time_base)

    @property
    def _slack(self) -> Fraction:
        """Containers round times, Matroska to milliseconds: a frame due at 0.0667 s has 0.067."""
        return min(self.time_base / 2, Fraction(1, 2000))

    def seconds(self, pts: np.ndarray) -> np.ndarray:
        """Ticks as seconds from the first frame, float64."""
        return (pts - self.pts[0]) * self.time_base.numerator / self.time_base.denominator

    def on_display(self, times_s: Iterable[float | Fraction]) -> np.ndarray:
        """The frame on display at each time: the last that began by then, or the first."""
        slack, first = self._slack, int(self.pts[0])
        ticks = [
            first + math.floor((Fraction(time_s) + slack) / self.time_base) for time_s in times_s
        ]
        return np.maximum(np.searchsorted(self.pts, ticks, side="right") - 1, 0)

    def frames_within(self, *, start_s: float, end_s: float) -> tuple[int, int]:
        """The half-open range of the frames that begin in [start_s, end_s).

        Spans that touch share no frame and lose none. Where no frame begins within the span, it
        holds the frame that is on display then.
        """
        edges = [
            int(self.pts[0]) + math.ceil((Fraction(time_s) - self._slack) / self.time_base)
            for time_s in (start_s, end_s)
        ]
        first, stop = (int(i) for i in np.searchsorted(self.pts, edges))
        if first < stop:
            return first, stop
        on_display = int(self.on_display([start_s])[0])
        return on_display, on_display + 1


def widen(
    span: tuple[float, float], *, sampling: Sampling, duration_s: float
) -> tuple[float, float]:
    """A given span with its context, within the video."""
    start_s, end_s = span
    return max(0.0, start_s - sampling.context_s), min(duration_s, end_s + sampling.context_s)


def wanted_frames(
    timeline: Timeline, *, sampling: Sampling, start_s: float, end_s: float
) -> np.ndarray:
    """The frames that a clip over [start_s, end_s) takes: (T,) int64.

    Raises MediaError "MissingFrames" where the video is too short for them.
    """
    if start_s >= timeline.duration_s:
        raise MediaError(
            "MissingFrames",
            f"a clip from {start_s} s is wanted, the video lasts {timeline.duration_s} s",
        )
    frames = PICKS[sampling.pick](timeline, sampling, start_s, end_s).astype(np.int64)
    return _snap(timeline, frames, snap_s=sampling.snap_s) if sampling.snap_s else frames


def _even(timeline: Timeline, sampling: Sampling, start_s: float, end_s: float) -> np.ndarray:
    """The clip is cut into P = T/k equal segments, and a burst of k is centred in each:

        n = 12, T = 6, k = 2      . x x . | . x x . | . x x .

    Bursts are moved into the clip where they reach over its edges; a clip shorter than k frames
    repeats its last one.
    """
    first, stop = timeline.frames_within(start_s=start_s, end_s=end_s)
    n, k = stop - first, sampling.burst_frames
    places = sampling.num_frames // k
    centres = (2 * np.arange(places, dtype=np.int64) + 1) * n
    return first + _bursts((centres - (k - 1) * places) // (2 * places), n=n, k=k)


def _random(timeline: Timeline, sampling: Sampling, start_s: float, end_s: float) -> np.ndarray:
    """The same segments; a burst begins anywhere in its segment where it ends within it too."""
    first, stop = timeline.frames_within(start_s=start_s, end_s=end_s)
    n, k = stop - first, sampling.burst_frames
    places = sampling.num_frames // k
    edges = np.arange(places + 1, dtype=np.int64) * n // places
    rng = np.random.default_rng([sampling.seed, first, n])
    starts = rng.integers(edges[:-1], np.maximum(edges[:-1], edges[1:] - k) + 1)
    return first + _bursts(starts, n=n, k=k)


def _bursts(starts: np.ndarray, *, n: int, k: int) -> np.ndarray:
    starts = np.clip(starts, 0, max(0, n - k))
    return np.minimum(starts[:, None] + np.arange(k, dtype=np.int64), n - 1).reshape(-1)


def _stride(timeline: Timeline, sampling: Sampling, start_s: float, end_s: float) -> np.ndarray:
    """Frames s apart in the middle of the clip; a short clip repeats its last frame.

    n = 12, T = 3, s = 3      . . x . . x . . x . . .
    """
    first, stop = timeline.frames_within(start_s=start_s, end_s=end_s)
    assert sampling.stride_frames is not None
    steps = np.arange(sampling.num_frames, dtype=np.int64) * sampling.stride_frames
    start = max(0, (stop - first - 1 - int(steps[-1])) // 2)
    return first + np.minimum(start + steps, stop - first - 1)


def _rate(timeline: Timeline, sampling: Sampling, start_s: float, end_s: float) -> np.ndarray:
    assert sampling.rate_fps is not None
    exact = Fraction(sampling.rate_fps)
    rate = exact.limit_denominator(1_000_000) or exact
    start = Fraction(start_s)
    num_frames = math.ceil((Fraction(min(end_s, timeline.duration_s)) - start) * rate)
    return timeline.on_display(start + i / rate for i in range(max(1, num_frames)))


def _times(timeline: Timeline, sampling: Sampling, start_s: float, end_s: float) -> np.ndarray:
    assert sampling.times_s is not None
    stop_s = min(end_s, timeline.duration_s)
    times = [start_s + time_s for time_s in sampling.times_s]
    if (latest_s := max(times)) >= stop_s:
        raise MediaError(
            "MissingFrames",
            f"a frame at {latest_s:g} s of the video is wanted (times_s reaches "
            f"{max(sampling.times_s):g} s into each clip), the clip ends at {stop_s:g} s",
        )
    return timeline.on_display(times)


def _keyframes(timeline: Timeline, _: Sampling, start_s: float, end_s: float) -> np.ndarray:
    """Where none begins within the clip, the last one before it, or the first of all."""
    first, stop = timeline.frames_within(start_s=start_s, end_s=end_s)
    keys = timeline.keys
    begin, end = np.searchsorted(keys, [first, stop])
    if begin < end:
        return keys[begin:end]
    return keys[max(0, begin - 1) :][:1] if len(keys) else np.array([first])


PICKS: Mapping[str, Callable[[Timeline, Sampling, float, float], np.ndarray]] = {
    "even": _even,
    "random": _random,
    "stride": _stride,
    "rate": _rate,
    "times": _times,
    "keyframes": _keyframes,
}


def _snap(timeline: Timeline, frames: np.ndarray, *, snap_s: float) -> np.ndarray:
    """Each frame, or the best one within `snap_s` of it.

    That is the nearest key frame. Failing that, what a group of pictures costs is how far it must
    be decoded: its last sample moves to the earliest cheap frame, and the others to the nearest
    cheap one that is decoded by then (K key, P cheap, b not; wanted ^, taken x):

        K b P b P b P b P b
              ^x  ^ x<^
    """
    reach = int(Fraction(snap_s) / timeline.time_base)
    keys, cheap = timeline.keys, timeline.cheap
    if not len(keys):
        return frames
    snapped = frames.copy()
    limit, limit_group = -1, -1
    for i in np.argsort(frames, kind="stable")[::-1]:
        frame = int(frames[i])
        near_keys = _within(timeline, keys, frame, reach)
        if len(near_keys):
            snapped[i] = _nearest(timeline, near_keys, frame)
            continue
        group = int(np.searchsorted(keys, frame, side="right"))
        near = _within(timeline, cheap, frame, reach)
        near = near[np.searchsorted(keys, near, side="right") == group]
        if group != limit_group:  # the last sample of its group
            snapped[i] = near[0] if len(near) else frame
            limit, limit_group = int(snapped[i]), group
        elif len(near := near[near <= limit]):
            snapped[i] = _nearest(timeline, near, frame)
    # Leaving one group of pictures for the next may open one that was not needed.
    return min(frames, snapped, key=lambda chosen: _depth(timeline, chosen))


def _depth(timeline: Timeline, frames: np.ndarray) -> int:
    """How many cheap frames are on the way to `frames`, from their key frames on."""
    frames = np.sort(frames)
    groups = np.maximum(np.searchsorted(timeline.keys, frames, side="right") - 1, 0)
    is_last = np.diff(groups, append=-1) != 0  # of its group
    up_to, before = (
        np.searchsorted(timeline.cheap, ends, side="right")
        for ends in (frames[is_last], timeline.keys[groups[is_last]])
    )
    return int((up_to - before + 1).sum())


def _within(timeline: Timeline, frames: np.ndarray, frame: int, reach: int) -> np.ndarray:
    """Those of the frames, which ascend, that lie no more than `reach` ticks from the one."""
    at = int(timeline.pts[frame])
    edges = np.searchsorted(timeline.pts, [at - reach, at + reach + 1])
    begin, end = np.searchsorted(frames, edges)
    return frames[begin:end]


def _nearest(timeline: Timeline, frames: np.ndarray, frame: int) -> int:
    return int(frames[np.argmin(np.abs(timeline.pts[frames] - timeline.pts[frame]))])
