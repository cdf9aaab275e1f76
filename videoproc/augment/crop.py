"""Random resized crops."""

from __future__ import annotations

from dataclasses import dataclass

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from videoproc.augment.settings import Augmentation
from videoproc.geometry import affine


@dataclass(frozen=True, kw_only=True)
class Params:
    """The box that is kept, in pixels."""

    top: int
    left: int
    height: int
    width: int


def draw(
    rng: np.random.Generator, settings: Augmentation, shape_thw: tuple[int, int, int]
) -> Params | None:
    """A box whose area is a share of the frame's drawn evenly from [min_crop_area, 1], whose place
    is drawn evenly, and whose aspect is the frame's times what is drawn evenly in its logarithm
    from [1 / crop_aspect, crop_aspect], as far as the frame has room."""
    _, height, width = shape_thw
    side = np.sqrt(rng.uniform(settings.min_crop_area, 1.0))
    stretch = np.sqrt(settings.crop_aspect ** rng.uniform(-1.0, 1.0))
    box_height = min(height, max(1, round(height * side / stretch)))
    box_width = min(width, max(1, round(width * side * stretch)))
    top = int(rng.integers(0, height - box_height + 1))
    left = int(rng.integers(0, width - box_width + 1))
    if (box_height, box_width) == (height, width):
        return None
    return Params(top=top, left=left, height=box_height, width=box_width)


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    """The box cut out of every frame of (T, H, W, 3) uint8 and scaled back to H x W, bilinear."""
    _, height, width, _ = frames_thwc.shape
    rows = slice(params.top, params.top + params.height)
    columns = slice(params.left, params.left + params.width)
    cut = np.ascontiguousarray(frames_thwc[:, rows, columns])
    made = np.empty(frames_thwc.shape, np.uint8)
    reformatter = VideoReformatter()  # one for all frames: what it prepares is kept
    for frame_hwc, made_hwc in zip(cut, made, strict=True):
        scaled = reformatter.reformat(
            av.VideoFrame.from_ndarray(frame_hwc, format="rgb24"),
            width=width,
            height=height,
            interpolation="BILINEAR",
            threads=1,  # by default as many as cores, which took 9 times the CPU time
        )
        made_hwc[:] = scaled.to_ndarray()
    return made


def matrix(params: Params, *, height: int, width: int) -> np.ndarray:
    moved = affine.translation(-params.left, -params.top)
    return affine.scaling(width / params.width, height / params.height) @ moved
