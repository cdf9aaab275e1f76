"""Edges: which way they run, where they are, how many."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import (
    grid_columns,
    mean_and_deviation,
    mean_and_deviation_columns,
)
from videoproc.features.pictures import (
    cell_means,
    direction_histogram,
    grey_frames,
    opencv,
    shares,
)

ORIENTATIONS = 12
GRID = 4
CANNY = (100, 200)  # levels of Sobel's sums


def edges(frames_thwc: np.ndarray, _pts_s: np.ndarray) -> np.ndarray:
    """Of each frame a histogram of gradients (Sobel) by the orientation of their axis, bin 0 around
    0 degrees (edges that run up and down), weighted by strength and summing to 1; and the share of
    its pixels on an edge (Canny 1986). Mean and standard deviation over time of both; then the
    share of edge pixels, mean over time, in GRID x GRID cells.
    """
    cv2 = opencv()
    made, over_time = [], np.zeros(GRID * GRID)
    grey = grey_frames(frames_thwc)
    for frame in grey:
        across, down = cv2.Sobel(frame, cv2.CV_16S, 1, 0), cv2.Sobel(frame, cv2.CV_16S, 0, 1)
        strength, angle = cv2.cartToPolar(np.float32(across), np.float32(down))
        on_edge = cv2.Canny(across, down, *CANNY) > 0
        # Doubled angles: an edge from dark to bright is one from bright to dark.
        turned = shares(direction_histogram(2 * angle, strength, ORIENTATIONS))
        made.append([*turned, on_edge.mean()])
        over_time += cell_means(on_edge, GRID) / len(grey)
    return np.concatenate([mean_and_deviation(np.array(made)), over_time]).astype(np.float32)


COLUMNS = (
    *mean_and_deviation_columns(
        [*(f"orientation_{180 // ORIENTATIONS * i}deg" for i in range(ORIENTATIONS)), "density"]
    ),
    *grid_columns("density", GRID),
)

FEATURE = Feature(name="shape_edges", version=1, columns=COLUMNS, compute=edges)
