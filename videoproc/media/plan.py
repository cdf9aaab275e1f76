"""Which frames are wanted and how to reach them: integer arithmetic, no I/O.

Frames are counted in presentation order from 0. Times are seconds from the first frame for
people, and integer ticks of the stream's time base where frames are told apart.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a clip's frames are chosen.

    num_frames: T, the frames a clip holds.
    burst_frames: k, how many consecutive frames stand at each sampled position; T/k positions
        are spread evenly over the clip.
    clip_s: a clip's length in seconds; None makes one clip of the whole video.
    """

    num_frames: int = 16
    burst_frames: int = 1
    clip_s: float | None = None

    def __post_init__(self) -> None:
        if self.num_frames < 1:
            raise ValueError(f"num_frames is {self.num_frames}: give 1 or more")
        if self.burst_frames < 1 or self.num_frames % self.burst_frames:
            raise ValueError(
                f"burst_frames is {self.burst_frames}: give a divisor of "
                f"num_frames ({self.num_frames})"
            )
        if self.clip_s is not None and not (math.isfinite(self.clip_s) and self.clip_s > 0):
            raise ValueError(f"clip_s is {self.clip_s}: give seconds above 0, or None")


@dataclass(frozen=True, kw_only=True)
class Size:
    """The height and width of a clip's frames, in pixels, as displayed."""

    height: int = 112
    width: int = 112

    def __post_init__(self) -> None:
        for name, value in (("height", self.height), ("width", self.width)):
            if value < 1:
                raise ValueError(f"{name} is {value}: give 1 pixel or more")


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One stay in the file: seek to the key frame at `seek_pts`, leave with `wanted_pts`.

    Both in ticks; `wanted_pts` ascends.
    """

    seek_pts: int
    wanted_pts: tuple[int, ...]


def clip_spans(*, duration_s: float, clip_s: float | None) -> list[tuple[float, float]]:
    """Cut [0, duration_s) into spans of `clip_s` seconds, without gaps or overlaps.

    A rest shorter than half of `clip_s` joins the span before it. None gives one span.
    """
    if clip_s is None:
        return [(0.0, duration_s)]
    num_whole = int(duration_s // clip_s)
    has_rest = duration_s - num_whole * clip_s >= clip_s / 2
    num_spans = max(1, num_whole + has_rest)
    edges = [i * clip_s for i in range(num_spans)] + [duration_s]
    return list(itertools.pairwise(edges))


def span_frames(
    *, frame_pts: np.ndarray, time_base: Fraction, start_s: float, end_s: float
) -> tuple[int, int]:
    """The half-open range of indices of the frames whose time lies in [start_s, end_s).

    Edges are rounded to the nearest tick, so that spans that touch share no frame and lose
    none. Where no frame begins within the span, it holds the frame that is on display then.
    """
    ticks = [round(Fraction(seconds) / time_base) for seconds in (start_s, end_s)]
    first, stop = (int(i) for i in np.searchsorted(frame_pts - frame_pts[0], ticks))
    if first < stop:
        return first, stop
    on_display = max(0, first - 1)
    return on_display, on_display + 1


def sample_indices(*, num_frames_available: int, sampling: Sampling) -> np.ndarray:
    """The frames to take from a span of `num_frames_available`: (T,) int64, from 0.

    The span is cut into P = T/k equal segments, and a burst of k frames is centred in each:

        n = 12, T = 6, k = 2      . x x . | . x x . | . x x .

    Bursts are moved into the span where they reach over its edges; a span shorter than k
    frames repeats its last one.
    """
    n, k = num_frames_available, sampling.burst_frames
    positions = sampling.num_frames // k
    centres = (2 * np.arange(positions, dtype=np.int64) + 1) * n
    starts = np.clip((centres - (k - 1) * positions) // (2 * positions), 0, max(0, n - k))
    indices = starts[:, None] + np.arange(k, dtype=np.int64)
    return np.minimum(indices, n - 1).reshape(-1)


def plan_visits(*, wanted_pts: np.ndarray, keyframe_pts: np.ndarray) -> list[Visit]:
    """The groups of pictures to visit for the wanted frames, in order, each once.

    A frame belongs to the last key frame at or before it in presentation order: a frame that
    is shown before a key frame but stored after it may refer to the group before.
    """
    wanted = np.unique(wanted_pts)
    groups = np.searchsorted(keyframe_pts, wanted, side="right") - 1
    # A frame before every key frame is reached from the first one, or not at all.
    groups = np.maximum(groups, 0)
    return [
        Visit(
            seek_pts=int(keyframe_pts[group]),
            wanted_pts=tuple(int(pts) for pts in wanted[groups == group]),
        )
        for group in np.unique(groups)
    ]
