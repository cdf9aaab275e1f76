"""Motion statistics: how much changes from frame to frame, where and when."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import grid_columns

GRID = 4
COURSE = 8


def motion_statistics(frames_thwc: np.ndarray, _pts_s: np.ndarray) -> np.ndarray:
    """Absolute differences of the grey values (mean of R, G, B; in [0, 1]) of consecutive frames.

    GRID x GRID means over time, row by row; then mean, standard deviation and maximum over time
    of the whole frame's mean; then its course in time at COURSE evenly spaced points. A clip of
    one frame has no motion: zeros. Frames smaller than the grid leave its empty cells at zero.
    """
    grey = frames_thwc.astype(np.float32).mean(axis=-1) / 255
    if len(grey) < 2:
        return np.zeros(GRID * GRID + 3 + COURSE, np.float32)
    change = np.abs(np.diff(grey, axis=0))
    over_time = change.mean(axis=0)
    cells = [
        cell.mean() if cell.size else 0.0
        for rows in np.array_split(over_time, GRID, axis=0)
        for cell in np.array_split(rows, GRID, axis=1)
    ]
    course = change.mean(axis=(1, 2))
    points = np.interp(np.linspace(0, len(course) - 1, COURSE), np.arange(len(course)), course)
    return np.array([*cells, course.mean(), course.std(), course.max(), *points], np.float32)


COLUMNS = (
    *grid_columns("change", GRID),
    "change_mean",
    "change_deviation",
    "change_max",
    *(f"change_point{i}" for i in range(COURSE)),
)

FEATURE = Feature(name="motion", version=1, columns=COLUMNS, compute=motion_statistics)
