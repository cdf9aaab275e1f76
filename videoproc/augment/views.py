"""Views: augmented copies of a clip, written beside it. View 0 is the clip itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from videoproc import schema
from videoproc.augment.crop import crop_box, resized_crop
from videoproc.augment.flip import flip
from videoproc.augment.jitter import colour_jitter
from videoproc.types import Row

AUGMENT_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How views other than 0 are drawn. The default makes none.

    Args:
        views: views a clip, the clip itself (view 0) included.
        flip_horizontal: mirror half of the views left to right; leave off where it changes labels.
        flip_vertical: mirror half of the views top to bottom; leave off where it changes labels.
        min_crop_area: smallest share of the frame that a random crop keeps; 1 crops nothing.
        jitter: brightness, contrast and saturation are each scaled by 1 - jitter to 1 + jitter.
    """

    views: int = 1
    flip_horizontal: bool = False
    flip_vertical: bool = False
    min_crop_area: float = 0.7
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if self.views < 1:
            raise ValueError(f"augmentation.views is {self.views}: use 1 or more (1 adds none)")
        if not 0 < self.min_crop_area <= 1:
            raise ValueError(
                f"augmentation.min_crop_area is {self.min_crop_area}: use a share in (0, 1]"
            )
        if not 0 <= self.jitter < 1:
            raise ValueError(f"augmentation.jitter is {self.jitter}: use a share in [0, 1)")


def augment_clip(
    frames_thwc: np.ndarray, *, augmentation: Augmentation, clip_id: str
) -> np.ndarray:
    """Draw one view of a uint8 (T, H, W, 3) clip. The same clip id draws the same view."""
    rng = np.random.default_rng(int(clip_id, 16))
    _, height, width, _ = frames_thwc.shape
    # Every number is drawn, used or not, so that switching one kind off leaves the others as is.
    mirror = rng.random(2) < 0.5
    box = crop_box(rng, height=height, width=width, min_area=augmentation.min_crop_area)
    brightness, contrast, saturation = 1 + augmentation.jitter * rng.uniform(-1, 1, 3)
    frames = flip(
        frames_thwc,
        horizontal=bool(mirror[0]) and augmentation.flip_horizontal,
        vertical=bool(mirror[1]) and augmentation.flip_vertical,
    )
    frames = resized_crop(frames, box)
    return colour_jitter(frames, brightness=brightness, contrast=contrast, saturation=saturation)


def make_views(*, augmentation: Augmentation) -> Callable[[Row], Iterator[Row]]:
    """A step: a decoded clip row becomes one row for each view that its `wanted` column asks for.

    `wanted` maps nothing by name: it lists (clip_index, view, clip_id) of every clip of the video.
    """

    def step(row: Row) -> Iterator[Row]:
        wanted = row.pop("wanted")
        if row["error_class"]:
            yield row | {"view": 0, "clip_id": ""}
            return
        for clip in wanted:
            if clip["clip_index"] != row["clip_index"]:
                continue
            frames = schema.frames_of(row)
            if clip["view"]:
                frames = augment_clip(frames, augmentation=augmentation, clip_id=clip["clip_id"])
            yield row | {
                "view": clip["view"],
                "clip_id": clip["clip_id"],
                "frames": frames.tobytes(),
            }

    return step
