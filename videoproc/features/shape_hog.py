"""Histograms of oriented gradients, pooled to one small grid a clip."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import grid_columns
from videoproc.features.pictures import grey_frames, opencv

SIDE_PX = 64
GRID = 4
ORIENTATIONS = 9
FRAMES = 8


def oriented_gradients(frames_thwc: np.ndarray, _pts_s: np.ndarray) -> np.ndarray:
    """Of FRAMES frames scaled to SIDE_PX x SIDE_PX: GRID x GRID cells, row by row, of ORIENTATIONS
    bins of gradients by their angle in [0, 180) degrees (Dalal and Triggs 2005; one block a frame,
    L2-Hys), mean over time. Then for each cell the mean over its bins of their standard deviation
    over time.
    """
    from skimage.feature import hog

    cv2 = opencv()
    side_px = SIDE_PX // GRID
    made = np.stack(
        [
            hog(
                cv2.resize(grey, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_AREA),
                ORIENTATIONS,
                pixels_per_cell=(side_px, side_px),
                cells_per_block=(GRID, GRID),
            )
            for grey in grey_frames(frames_thwc, most=FRAMES)
        ]
    )
    change = made.std(axis=0).reshape(GRID * GRID, ORIENTATIONS).mean(axis=1)
    return np.concatenate([made.mean(axis=0), change]).astype(np.float32)


COLUMNS = (
    *(
        f"{cell}_{180 // ORIENTATIONS * i}deg"
        for cell in grid_columns("gradient", GRID)
        for i in range(ORIENTATIONS)
    ),
    *grid_columns("deviation", GRID),
)

FEATURE = Feature(name="shape_hog", version=1, columns=COLUMNS, compute=oriented_gradients)
