"""In time: speed, shift, reversal, lost frames. A clip keeps its number of frames."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoproc.augment.settings import Augmentation


@dataclass(frozen=True, kw_only=True)
class Params:
    """source_t: which frame of the clip each frame of the view shows. What happens at share x of
    the clip's length happens at share scale * x + offset of the view's."""

    source_t: tuple[int, ...]
    scale: float
    offset: float


def draw(
    rng: np.random.Generator, settings: Augmentation, shape_thw: tuple[int, int, int]
) -> Params | None:
    num_frames = shape_thw[0]
    params = plan(
        num_frames,
        speed=settings.max_speed ** rng.uniform(-1.0, 1.0),
        shift=settings.shift * rng.uniform(-1.0, 1.0),
        backwards=bool(rng.random() < 0.5) and settings.reverse,
        lost_t=rng.random(num_frames) < settings.drop,
    )
    unchanged = Params(source_t=tuple(range(num_frames)), scale=1.0, offset=0.0)
    return None if params == unchanged else params


def plan(
    num_frames: int, *, speed: float, shift: float, backwards: bool, lost_t: np.ndarray
) -> Params:
    """At share y of the view's length the clip's share 0.5 + speed * (y - 0.5) + shift is seen,
    counted from the end where it is played backwards. Beyond its ends the clip stands still.

        speed 2     0 0 1 3 5 7 7 7        shift 0.25     2 3 4 5 6 7 7 7
        speed 1/2   2 2 3 3 4 4 5 5        backwards      7 6 5 4 3 2 1 0

    lost_t: (T,) bool, frames of the view in whose place the one before is shown; the first has
    none before it and stays.
    """
    t = np.arange(num_frames)
    seen = 0.5 + speed * ((t + 0.5) / num_frames - 0.5) + shift
    shown_t = np.floor(seen * num_frames).astype(np.int64).clip(0, num_frames - 1)
    scale, offset = 1 / speed, 0.5 - (0.5 + shift) / speed
    if backwards:
        shown_t = num_frames - 1 - shown_t
        scale, offset = -scale, scale + offset
    last_kept_t = np.maximum.accumulate(np.where(lost_t, 0, t))
    return Params(source_t=tuple(shown_t[last_kept_t].tolist()), scale=scale, offset=offset)


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    return frames_thwc[list(params.source_t)]
