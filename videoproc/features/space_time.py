"""Gradients in space and time: which way edges move, how fast, where and when."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import grid_columns, steps_of
from videoproc.features.pictures import direction_histogram, grey_frames, opencv, shares

DIRECTIONS = 8
SLOW, FAST = 0.05, 0.3  # diagonals a second
GRID = 2
PARTS = 3
FAINT_LEVELS = 4  # gradients in space and time below are noise
FLAT_LEVELS = 1  # slopes a pixel below have no direction
KINDS = 2 + 2 * DIRECTIONS


def space_time_gradients(frames_thwc: np.ndarray, pts_s: np.ndarray) -> np.ndarray:
    """A histogram of gradients (x, y, t) of smoothed grey values between neighbours, after HOG3D
    (Kläser 2008), in PARTS of the clip by GRID x GRID cells.

    The direction of a gradient in space and time is the motion of an edge along its normal: at less
    than SLOW diagonals a second it is still; else it counts in one of DIRECTIONS, at less than
    FAST or above. What changes without an edge (a slope below FLAT_LEVELS) flickers. Weighted by
    the gradient's length; all together sum to 1. No gradient: zeros.
    """
    cv2 = opencv()
    grey, steps = grey_frames(frames_thwc), steps_of(pts_s)
    height, width = grey.shape[1:]
    diagonal_px = np.hypot(height, width)
    made = np.zeros((PARTS, GRID * GRID, KINDS))
    for number, (i, j, elapsed_s) in enumerate(
        zip(steps.first, steps.second, steps.elapsed_s, strict=True)
    ):
        before, after = (cv2.GaussianBlur(np.float32(grey[k]), (0, 0), 1.0) for k in (i, j))
        middle, in_time = (before + after) / 2, after - before
        across, down = (cv2.Sobel(middle, cv2.CV_32F, *xy, scale=1 / 8) for xy in ((1, 0), (0, 1)))
        in_space, angle = cv2.cartToPolar(across, down)
        weight = np.hypot(in_space, in_time)
        weight[weight < FAINT_LEVELS] = 0
        # A brighter side that comes nearer moves against the gradient.
        angle = np.where(in_time > 0, angle + np.float32(np.pi), angle)
        edge_per_s = in_space * np.float32(diagonal_px * elapsed_s)
        below_slow, below_fast = (np.abs(in_time) < pace * edge_per_s for pace in (SLOW, FAST))
        flickers = (in_space < FLAT_LEVELS) & ~below_slow
        still, fast = below_slow, ~below_fast & ~flickers
        slow = ~(still | fast | flickers)
        part = made[number * PARTS // len(steps)]
        for cell, (rows, columns) in zip(part, cells(height, width), strict=True):
            turned, weighs = angle[rows, columns], weight[rows, columns]
            cell[:2] += [weighs[kind[rows, columns]].sum() for kind in (still, flickers)]
            cell[2:] += np.concatenate(
                [
                    direction_histogram(turned, weighs * kind[rows, columns], DIRECTIONS)
                    for kind in (slow, fast)
                ]
            )
    return shares(made.ravel()).astype(np.float32)


def cells(height: int, width: int) -> list[tuple[slice, slice]]:
    rows, columns = (
        [slice(i * side // GRID, (i + 1) * side // GRID) for i in range(GRID)]
        for side in (height, width)
    )
    return [(row, column) for row in rows for column in columns]


TURNS = tuple(f"{360 // DIRECTIONS * i}deg" for i in range(DIRECTIONS))
COLUMNS = tuple(
    f"part{part}_{cell}_{kind}"
    for part in range(PARTS)
    for cell in grid_columns("cell", GRID)
    for kind in (
        "still",
        "flickers",
        *(f"{pace}_{turn}" for pace in ("slow", "fast") for turn in TURNS),
    )
)

FEATURE = Feature(name="space_time", version=1, columns=COLUMNS, compute=space_time_gradients)
