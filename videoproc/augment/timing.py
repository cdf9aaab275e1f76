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
    """At share y of the view's length the clip's share 0.5 + speed * (y - 0.5) + shift is seen,
    counted from the end where it is played backwards; before its first frame and after its last
    one those stand still.

        speed 2     0 0 1 3 5 7 7 7        shift 0.25     2 3 4 5 6 7 7 7
        speed 1/2   2 2 3 3 4 4 5 5        reverse        7 6 5 4 3 2 1 0
    """
    num_frames = shape_thw[0]
    speed = settings.max_speed ** rng.uniform(-1.0, 1.0)
    shift = settings.shift * rng.uniform(-1.0, 1.0)
    backwards = rng.random() < 0.5 and settings.reverse
    # A first frame has none before it.
    lost = np.append(False, rng.random(num_frames)[1:] < settings.drop)
    seen = 0.5 + speed * ((np.arange(num_frames) + 0.5) / num_frames - 0.5) + shift
    shown = np.floor(seen * num_frames).astype(np.int64).clip(0, num_frames - 1)
    shown = num_frames - 1 - shown if backwards else shown
    last_kept = np.maximum.accumulate(np.where(lost, 0, np.arange(num_frames)))
    source_t = tuple(shown[last_kept].tolist())
    scale, offset = 1 / speed, 0.5 - (0.5 + shift) / speed
    if backwards:
        scale, offset = -scale, scale + offset
    if (scale, offset) == (1.0, 0.0) and source_t == tuple(range(num_frames)):
        return None
    return Params(source_t=source_t, scale=scale, offset=offset)


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    return frames_thwc[list(params.source_t)]
