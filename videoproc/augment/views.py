"""Views: augmented copies of a clip, written beside it. View 0 is the clip itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from videoproc import schema
from videoproc.augment.settings import Augmentation
from videoproc.augment.view import view_of_clip
from videoproc.types import Row


def augment_clip(
    frames_thwc: np.ndarray, *, augmentation: Augmentation, clip_id: str
) -> np.ndarray:
    """Draw one view of a uint8 (T, H, W, 3) clip. The same clip id draws the same view."""
    num_frames, height, width, _ = frames_thwc.shape
    view = view_of_clip((num_frames, height, width), augmentation=augmentation, clip_id=clip_id)
    return view.frames(frames_thwc)


def make_views(*, augmentation: Augmentation) -> Callable[[Row], Iterator[Row]]:
    """A step: a decoded clip row becomes one row for each view that its `wanted` column asks for.

    `wanted` maps nothing by name: it lists (clip_index, view, clip_id) of every clip of the video.
    `frame_indices` and `pts_s` of a view say which frame of the video each of its frames shows, so
    they may repeat or descend.
    """

    def step(row: Row) -> Iterator[Row]:
        wanted = row.pop("wanted")
        if row["error_class"]:
            yield row | {"view": 0, "clip_id": ""}
            return
        for clip in wanted:
            if clip["clip_index"] != row["clip_index"]:
                continue
            of_view = {"view": clip["view"], "clip_id": clip["clip_id"]}
            if clip["view"]:
                yield row | _augmented(row, augmentation, clip["clip_id"]) | of_view
            else:
                yield row | of_view

    return step


def _augmented(row: Row, augmentation: Augmentation, clip_id: str) -> Row:
    num_frames, height, width, _ = row["shape"]
    view = view_of_clip((num_frames, height, width), augmentation=augmentation, clip_id=clip_id)
    return {
        "frames": view.frames(schema.frames_of(row)).tobytes(),
        "pts_s": [row["pts_s"][t] for t in view.source_t],
        "frame_indices": [row["frame_indices"][t] for t in view.source_t],
    }
