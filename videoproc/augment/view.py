"""A view: what is drawn for one clip, and all that moves with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from videoproc.augment import (
    blur,
    compress,
    crop,
    erase,
    flip,
    grey,
    hue,
    jitter,
    noise,
    rotate,
    timing,
)
from videoproc.augment.settings import Augmentation
from videoproc.geometry import boxes as _boxes
from videoproc.geometry import masks as _masks
from videoproc.geometry import spans as _spans

AUGMENT_VERSION = 2  # raise it when the same settings draw other bytes


@dataclass(frozen=True)
class Kind:
    """One kind of augmentation.

    draw: (rng, settings, shape_thw) -> params, or None where the clip is left as it is.
    apply: (frames_thwc, params) -> frames of the same shape; the frames given stay as they are.
    matrix: (params, height=, width=) -> (3, 3), how points of the frame move. None: they do not.
    """

    draw: Callable[..., Any]
    apply: Callable[..., np.ndarray]
    matrix: Callable[..., np.ndarray] | None = None


KINDS: dict[str, Kind] = {
    "timing": Kind(timing.draw, timing.apply),
    "flip": Kind(flip.draw, flip.apply, flip.matrix),
    "crop": Kind(crop.draw, crop.apply, crop.matrix),
    "rotate": Kind(rotate.draw, rotate.apply, rotate.matrix),
    "jitter": Kind(jitter.draw, jitter.apply),
    "hue": Kind(hue.draw, hue.apply),
    "grey": Kind(grey.draw, grey.apply),
    "blur": Kind(blur.draw, blur.apply),
    "noise": Kind(noise.draw, noise.apply),
    "erase": Kind(erase.draw, erase.apply),
    "compress": Kind(compress.draw, compress.apply),
}
"""In the order in which they are done: what happens, how it is seen, what a camera makes of it."""


@dataclass(frozen=True)
class View:
    """What was drawn for a clip: params by kind, without those that leave it as it is.

    An array that is not changed is given back itself.
    """

    shape_thw: tuple[int, int, int]
    params: Mapping[str, Any]

    def frames(self, frames_thwc: np.ndarray) -> np.ndarray:
        """uint8 (T, H, W, 3) as the view shows it."""
        for name, params in self.params.items():
            frames_thwc = KINDS[name].apply(frames_thwc, params)
        return frames_thwc

    @property
    def source_t(self) -> tuple[int, ...]:
        """Which frame of the clip each frame of the view shows."""
        params = self.params.get("timing")
        return tuple(range(self.shape_thw[0])) if params is None else params.source_t

    @cached_property
    def matrix(self) -> np.ndarray:
        """(3, 3): how points of the frame move (`videoproc.geometry.affine`)."""
        _, height, width = self.shape_thw
        matrix = np.eye(3)
        for name, params in self.params.items():
            of_kind = KINDS[name].matrix
            if of_kind is not None:
                matrix = of_kind(params, height=height, width=width) @ matrix
        return matrix

    def boxes(self, boxes_tn4: Sequence[np.ndarray]) -> list[np.ndarray]:
        """For each frame of the view the boxes (N, 4) of what it shows, cut to the frame; one that
        has left it has no area. Erasing leaves the boxes of what it covers."""
        _, height, width = self.shape_thw
        moved = [_boxes.transform(boxes_tn4[t], self.matrix) for t in self.source_t]
        return [_boxes.clip(boxes_n4, height=height, width=width) for boxes_n4 in moved]

    def masks(self, masks_thw: np.ndarray) -> np.ndarray:
        """(T, H, W) masks moved with the pixels, nearest."""
        return _masks.transform(masks_thw[list(self.source_t)], self.matrix)

    def spans(self, spans_n2: np.ndarray, *, start_s: float, end_s: float) -> np.ndarray:
        """When in a clip of [start_s, end_s) the view shows what happens in (N, 2) spans of
        seconds; one that it does not show has no length. Where the clip stands still beyond its
        ends nothing happens."""
        params = self.params.get("timing")
        scale, offset = (1.0, 0.0) if params is None else (params.scale, params.offset)
        offset_s = start_s + offset * (end_s - start_s) - scale * start_s
        moved = _spans.transform(spans_n2, scale=scale, offset_s=offset_s)
        return _spans.clip(moved, start_s=start_s, end_s=end_s)


def draw_view(
    shape_thw: tuple[int, int, int], *, augmentation: Augmentation, seed: Sequence[int]
) -> View:
    """Draw a view of a clip of this shape. The same seed draws the same view."""
    # Each kind has a stream of its own, so that switching one off leaves the others as they were.
    drawn = {
        name: kind.draw(np.random.default_rng([*seed, *name.encode()]), augmentation, shape_thw)
        for name, kind in KINDS.items()
    }
    return View(shape_thw, {name: params for name, params in drawn.items() if params is not None})


def view_of_clip(
    shape_thw: tuple[int, int, int], *, augmentation: Augmentation, clip_id: str
) -> View:
    """The view that is stored under `clip_id`: with it a task moves the boxes, masks and spans of
    a clip as `extract` has moved its pixels."""
    return draw_view(shape_thw, augmentation=augmentation, seed=[int(clip_id, 16)])
