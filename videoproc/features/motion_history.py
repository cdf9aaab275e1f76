"""Where something has moved in a clip, how recently, and which way it went."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import grid_columns, steps_of
from videoproc.features.pictures import (
    cell_means,
    direction_histogram,
    grey_frames,
    moving,
    opencv,
    shares,
)
from videoproc.features.shape_moments import HU, log_hu

GRID = 3
DIRECTIONS = 8


def motion_history(frames_thwc: np.ndarray, pts_s: np.ndarray) -> np.ndarray:
    """The clip's motion energy image (1 where a pixel has ever moved) and motion history image (1
    where it moved in the last pair of neighbours, less the longer ago it last did, 0 where never;
    Bobick and Davis 2001).

    The share of pixels that have moved, and the mean share of pairs in which those have; both
    images in GRID x GRID cells; Hu's moments of both (`log_hu`); and the direction in which the
    history grows within what has moved, as shares: where the motion went. No motion: zeros.
    """
    cv2 = opencv()
    grey, steps = grey_frames(frames_thwc), steps_of(pts_s)
    history, often = (np.zeros(grey.shape[1:], np.float32) for _ in range(2))
    for number, (i, j) in enumerate(zip(steps.first, steps.second, strict=True), start=1):
        moved = moving(grey[i], grey[j])
        history[moved > 0] = number / len(steps)
        often += moved
    energy = (history > 0).astype(np.uint8)
    if not energy.any():
        return np.zeros(len(COLUMNS), np.float32)
    within = cv2.erode(energy, np.ones((3, 3), np.uint8), borderValue=0)
    growth, angle = cv2.cartToPolar(
        cv2.Sobel(history, cv2.CV_32F, 1, 0), cv2.Sobel(history, cv2.CV_32F, 0, 1)
    )
    return np.concatenate(
        [
            [energy.mean(), often[energy > 0].mean() / len(steps)],
            cell_means(energy, GRID),
            cell_means(history, GRID),
            log_hu(energy),
            log_hu(history),
            shares(direction_histogram(angle, growth * within, DIRECTIONS)),
        ]
    ).astype(np.float32)


COLUMNS = (
    "moved",
    "moved_often",
    *grid_columns("energy", GRID),
    *grid_columns("history", GRID),
    *(f"energy_{name}" for name in HU),
    *(f"history_{name}" for name in HU),
    *(f"direction_{360 // DIRECTIONS * i}deg" for i in range(DIRECTIONS)),
)

FEATURE = Feature(name="motion_history", version=1, columns=COLUMNS, compute=motion_history)
