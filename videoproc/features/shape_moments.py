"""Hu's moments of what stands out in the frames and of what moves."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import (
    mean_and_deviation,
    mean_and_deviation_columns,
    steps_of,
)
from videoproc.features.pictures import foreground, grey_frames, moving, opencv

SMALLEST = 12  # moments below 10 ** -SMALLEST count as none


def shape_moments(frames_thwc: np.ndarray, pts_s: np.ndarray) -> np.ndarray:
    """The seven moments (`log_hu`) of each frame's foreground (the smaller class by Otsu), mean and
    standard deviation over time; then those of the pixels that change between neighbours."""
    grey, steps = grey_frames(frames_thwc), steps_of(pts_s)
    standing = [log_hu(foreground(frame)) for frame in grey]
    moved = [
        log_hu(moving(grey[i], grey[j])) for i, j in zip(steps.first, steps.second, strict=True)
    ]
    return np.concatenate(
        [
            mean_and_deviation(np.reshape(masks, (-1, 7)))  # of no steps too
            for masks in (standing, moved)
        ]
    ).astype(np.float32)


def log_hu(image_hw: np.ndarray) -> np.ndarray:
    """Hu's invariants h (1962) to position, size and turning, in logarithms that keep the sign:
    sign(h) * (12 + log10 |h|) / 12 where |h| > 1e-12, else 0. So 1 is |h| = 1, and there is no step
    at 0. (7,); of an empty image all 0.
    """
    cv2 = opencv()
    invariants = cv2.HuMoments(cv2.moments(image_hw)).ravel()
    logs = np.log10(np.maximum(np.abs(invariants), 10.0**-SMALLEST))
    return np.sign(invariants) * (SMALLEST + logs) / SMALLEST


HU = tuple(f"hu{i}" for i in range(1, 8))

FEATURE = Feature(
    name="shape_moments",
    version=1,
    columns=(
        *mean_and_deviation_columns(f"foreground_{name}" for name in HU),
        *mean_and_deviation_columns(f"moving_{name}" for name in HU),
    ),
    compute=shape_moments,
)
