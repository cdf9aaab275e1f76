"""Random resized crops."""

from __future__ import annotations

import av
import numpy as np


def crop_box(
    rng: np.random.Generator, *, height: int, width: int, min_area: float
) -> tuple[int, int, int, int]:
    """A box (top, left, height, width) in pixels that keeps the frame's aspect ratio.

    Its area is a share of the frame's drawn evenly from [min_area, 1], its place drawn evenly.
    """
    side = np.sqrt(rng.uniform(min_area, 1.0))
    box_height, box_width = max(1, round(height * side)), max(1, round(width * side))
    top = int(rng.integers(0, height - box_height + 1))
    left = int(rng.integers(0, width - box_width + 1))
    return top, left, box_height, box_width


def resized_crop(frames_thwc: np.ndarray, box: tuple[int, int, int, int]) -> np.ndarray:
    """Cut `box` out of every frame of (T, H, W, 3) uint8 and scale it back to H x W, bilinear."""
    _, height, width, _ = frames_thwc.shape
    top, left, box_height, box_width = box
    if (box_height, box_width) == (height, width):
        return frames_thwc
    cut = np.ascontiguousarray(frames_thwc[:, top : top + box_height, left : left + box_width])
    return np.stack([_scale(frame, height=height, width=width) for frame in cut])


def _scale(frame_hwc: np.ndarray, *, height: int, width: int) -> np.ndarray:
    frame = av.VideoFrame.from_ndarray(frame_hwc, format="rgb24")
    return frame.reformat(width=width, height=height, interpolation="BILINEAR").to_ndarray()
