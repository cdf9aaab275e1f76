"""Dense optical flow: how fast, which way, how much of the frame, where, and when in the clip."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import (
    grid_columns,
    mean_and_deviation,
    mean_and_deviation_columns,
    means_of_parts,
    steps_of,
)
from videoproc.features.pictures import (
    cell_means,
    direction_histogram,
    grey_frames,
    opencv,
    shares,
)

MOVES = 0.05  # diagonals a second: a person who strolls across the frame in 15 s moves
DIRECTIONS = 8
GRID = 3
PARTS = 3
QUANTITIES = (
    "speed",
    "speed_spread",
    "speed_q50",
    "speed_q90",
    "speed_q99",
    "coverage",
    "camera_speed",
    "residual_speed",
    "residual_coverage",
    "divergence_per_s",
    "curl_per_s",
)
IN_PARTS = ("speed", "coverage", "residual_speed")


def flow_statistics(frames_thwc: np.ndarray, pts_s: np.ndarray) -> np.ndarray:
    """Farnebäck's flow (2003) between neighbours (`steps_of`), in frame diagonals a second: neither
    the size of the clip nor its frame rate shows in it, as long as the flow is found.

    Of each pair of frames: mean, standard deviation and quantiles of the speed; coverage, the share
    of pixels at MOVES or more; the speed of the camera (the median flow); mean speed and coverage
    of the residual, what is left without the camera; mean absolute divergence and curl. Of these
    mean, standard deviation, then maximum over time. Quantiles over time of speed and coverage, and
    three quantities in the clip's thirds. Then over all pairs: the direction of moving pixels, of
    the flow and of the residual, weighted by speed, and how far flow has one direction (length of
    the summed over the sum of lengths); the speed in GRID x GRID cells; and, after violent flows
    (Hassner 2012), the mean change of the speed from a pair to the next, and the share of pairs, by
    cell, in which a pixel's speed changes by more than that pair's mean. No pair: zeros.
    """
    made, residual_turned, turned = [], np.zeros(DIRECTIONS), np.zeros(DIRECTIONS)
    summed, length = np.zeros(2), 0.0
    cells, changing, changes = np.zeros(GRID**2), np.zeros(GRID**2), []
    before: np.ndarray | None = None
    for flow_hwc, per_s in flows(frames_thwc, pts_s):
        camera = np.median(flow_hwc, axis=(0, 1))
        speed, angle = polar(flow_hwc)
        residual_speed, residual_angle = polar(flow_hwc - camera)
        moves, stands_out = speed >= MOVES, residual_speed >= MOVES
        made.append(
            [
                speed.mean(),
                speed.std(),
                *np.quantile(speed, (0.5, 0.9, 0.99)),
                moves.mean(),
                np.hypot(*camera),
                residual_speed.mean(),
                stands_out.mean(),
                *(np.abs(part).mean() for part in per_s),
            ]
        )
        turned += direction_histogram(angle, speed * moves, DIRECTIONS)
        residual_turned += direction_histogram(
            residual_angle, residual_speed * stands_out, DIRECTIONS
        )
        summed += (flow_hwc * moves[..., None]).sum(axis=(0, 1), dtype=np.float64)
        length += float((speed * moves).sum(dtype=np.float64))
        cells += cell_means(speed, GRID)
        if before is not None:
            change = np.abs(speed - before)
            changes.append(change.mean())
            changing += cell_means(change > change.mean(), GRID)
        before = speed
    if not made:
        return np.zeros(len(COLUMNS), np.float32)
    course = np.array(made)
    columns = [QUANTITIES.index(name) for name in IN_PARTS]
    return np.concatenate(
        [
            mean_and_deviation(course),
            course.max(axis=0),
            np.quantile(course[:, columns[:2]], (0.1, 0.5, 0.9), axis=0).T.ravel(),
            means_of_parts(course[:, columns], PARTS).T.ravel(),
            shares(turned),
            shares(residual_turned),
            [np.hypot(*summed) / length if length else 0.0],
            cells / len(course),
            [np.mean(changes) if changes else 0.0],
            changing / max(1, len(changes)),
        ]
    ).astype(np.float32)


def flows(
    frames_thwc: np.ndarray, pts_s: np.ndarray
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, np.ndarray]]]:
    """Of each pair of neighbours the flow (h, w, 2), right and down, in diagonals a second, and its
    divergence and curl, in 1/s."""
    cv2 = opencv()
    grey, steps = grey_frames(frames_thwc), steps_of(pts_s)
    diagonal_px = np.hypot(*grey.shape[1:])
    for i, j, elapsed_s in zip(steps.first, steps.second, steps.elapsed_s, strict=True):
        moved_px = cv2.calcOpticalFlowFarneback(
            grey[i],
            grey[j],
            None,
            pyr_scale=0.5,
            levels=4,
            winsize=15,
            iterations=3,
            poly_n=5,
            poly_sigma=1.1,
            flags=0,
        )
        down, across = np.gradient(moved_px, axis=(0, 1))
        divergence, curl = across[..., 0] + down[..., 1], across[..., 1] - down[..., 0]
        yield moved_px / (diagonal_px * elapsed_s), (divergence / elapsed_s, curl / elapsed_s)


def polar(flow_hwc: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Speed and direction (clockwise as seen, from the right, in radians), each (h, w)."""
    x_hw, y_hw = (np.ascontiguousarray(flow_hwc[..., c], np.float32) for c in range(2))
    speed, angle = opencv().cartToPolar(x_hw, y_hw)
    return speed, angle


TURNS = tuple(f"{360 // DIRECTIONS * i}deg" for i in range(DIRECTIONS))
COLUMNS = (
    *mean_and_deviation_columns(QUANTITIES),
    *(f"{name}_max" for name in QUANTITIES),
    *(f"{name}_{part}" for name in IN_PARTS[:2] for part in ("q10", "median", "q90")),
    *(f"{name}_part{part}" for name in IN_PARTS for part in range(PARTS)),
    *(f"direction_{turn}" for turn in TURNS),
    *(f"residual_direction_{turn}" for turn in TURNS),
    "one_direction",
    *grid_columns("speed", GRID),
    "speed_change",
    *grid_columns("changing", GRID),
)

FEATURE = Feature(name="flow", version=1, columns=COLUMNS, compute=flow_statistics)
