"""Frames made ready to be measured: grey, of a bounded size, and what stands out in them."""

from __future__ import annotations

import functools
from types import ModuleType

import numpy as np

LONGEST_PX = 128
SHORTEST_PX = 16
MOVING_LEVELS = 16  # of 255; the noise of a camera is below, after a mean over 3 x 3


@functools.cache
def opencv() -> ModuleType:
    """OpenCV without threads of its own: there is a process a core already.

    Imported when a feature first needs it, which an empty night never does.
    """
    import cv2

    cv2.setNumThreads(0)
    return cv2


def grey_frames(frames_thwc: np.ndarray, *, most: int | None = None) -> np.ndarray:
    """Luma (Rec. 601) as uint8 (T, h, w) whose longer side has at most LONGEST_PX pixels.

    So that patterns are measured at one scale whatever the size of clips, and the cost is bounded.
    Sides below SHORTEST_PX are enlarged: filters need room. most: take no more frames than this,
    evenly spread.
    """
    cv2 = opencv()
    num_frames, height, width, _ = frames_thwc.shape
    if most is not None and num_frames > most:
        frames_thwc = frames_thwc[np.linspace(0, num_frames - 1, most).round().astype(int)]
    scale = min(1.0, LONGEST_PX / max(height, width))
    size_hw = [max(SHORTEST_PX, round(side * scale)) for side in (height, width)]
    shrunk = size_hw[0] <= height and size_hw[1] <= width
    how = cv2.INTER_AREA if shrunk else cv2.INTER_LINEAR
    made = np.empty((len(frames_thwc), *size_hw), np.uint8)
    for grey, frame in zip(made, frames_thwc, strict=True):
        grey[:] = cv2.resize(
            cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2GRAY),
            size_hw[::-1],
            interpolation=how,
        )
    return made


def cell_means(values_hw: np.ndarray, side: int) -> np.ndarray:
    """Means over a grid of side x side cells, row by row: (side * side,)."""
    cv2 = opencv()
    cells = cv2.resize(np.float32(values_hw), (side, side), interpolation=cv2.INTER_AREA)
    return cells.ravel()


def foreground(grey_hw: np.ndarray) -> np.ndarray:
    """What Otsu's threshold tells apart, 0 or 1: of the two classes the one of fewer pixels.

    A frame of one value has none.
    """
    cv2 = opencv()
    if grey_hw.min() == grey_hw.max():
        return np.zeros_like(grey_hw)
    _, mask = cv2.threshold(grey_hw, 0, 1, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return 1 - mask if 2 * mask.sum(dtype=np.int64) > mask.size else mask


def moving(before_hw: np.ndarray, after_hw: np.ndarray) -> np.ndarray:
    """Where the mean grey value over 3 x 3 pixels differs by MOVING_LEVELS or more: 0 or 1."""
    cv2 = opencv()
    change = cv2.blur(cv2.absdiff(before_hw, after_hw), (3, 3))
    return (change >= MOVING_LEVELS).astype(np.uint8)


def direction_histogram(angle_rad: np.ndarray, weight: np.ndarray, bins: int) -> np.ndarray:
    """Sums of weights by direction: bin 0 is centred on 0, the next ones follow clockwise as seen
    (y points down), and all together are one turn."""
    width = 2 * np.pi / bins
    which = np.floor(angle_rad / width + 0.5).astype(np.int64) % bins
    return np.bincount(which.ravel(), weight.ravel(), minlength=bins)


def shares(sums: np.ndarray) -> np.ndarray:
    """The same, summing to 1; all 0 where there is nothing to share."""
    total = sums.sum()
    return sums / total if total > 0 else np.zeros_like(sums, dtype=np.float64)
