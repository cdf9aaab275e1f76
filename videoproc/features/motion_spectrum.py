"""The rhythm of motion: how its energy is spread over frequencies and over the clip."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import means_of_parts, steps_of
from videoproc.features.pictures import cell_means, grey_frames, opencv, shares

POINTS = 16
CYCLES = POINTS // 2
GRID = 2
LAGS = (1, 2, 4)
NOTHING = 1e-6  # a hundredth of a grey level in one pixel of forty


def motion_spectrum(frames_thwc: np.ndarray, pts_s: np.ndarray) -> np.ndarray:
    """The mean absolute difference of grey values between neighbours, its course in the clip at
    POINTS points.

    Of the whole frame, then as the mean over GRID x GRID cells: the share of the course's power at
    1 to CYCLES cycles a clip, its centroid (in cycles a clip) and its entropy (0 one frequency, 1
    all alike). Cycles a clip and not Hz, since the frequencies that can be seen depend on how far
    apart frames were sampled. Then of the whole frame's course: deviation over mean, maximum over
    mean, and autocorrelation at LAGS points. A clip that does not move: zeros.
    """
    cv2 = opencv()
    grey, steps = grey_frames(frames_thwc), steps_of(pts_s)
    if not len(steps):
        return np.zeros(len(COLUMNS), np.float32)
    made = [
        cell_means(cv2.absdiff(grey[i], grey[j]), GRID) / 255
        for i, j in zip(steps.first, steps.second, strict=True)
    ]
    cells = means_of_parts(np.array(made, np.float64), POINTS)
    course = cells.mean(axis=1)
    of_cells = np.mean([rhythm(cell) for cell in cells.T], axis=0)
    return np.concatenate([rhythm(course), of_cells, unevenness(course)]).astype(np.float32)


def rhythm(course: np.ndarray) -> np.ndarray:
    """Shares of power, centroid, entropy: (CYCLES + 2,)."""
    if course.std() < NOTHING:
        return np.zeros(CYCLES + 2)
    power = shares(np.abs(np.fft.rfft(course - course.mean())[1:]) ** 2)
    centroid = (power * np.arange(1, CYCLES + 1)).sum()
    entropy = -(power * np.log(np.maximum(power, 1e-12))).sum() / np.log(CYCLES)
    return np.array([*power, centroid, entropy])


def unevenness(course: np.ndarray) -> np.ndarray:
    if course.std() < NOTHING:
        return np.zeros(2 + len(LAGS))
    off = course - course.mean()
    alike = [(off[lag:] * off[:-lag]).sum() / (off**2).sum() for lag in LAGS]
    return np.array([course.std() / course.mean(), course.max() / course.mean(), *alike])


RHYTHM = (*(f"power_{i}" for i in range(1, CYCLES + 1)), "centroid", "entropy")
COLUMNS = (
    *RHYTHM,
    *(f"cells_{name}" for name in RHYTHM),
    "relative_deviation",
    "relative_max",
    *(f"autocorrelation_{lag}" for lag in LAGS),
)

FEATURE = Feature(name="motion_spectrum", version=1, columns=COLUMNS, compute=motion_spectrum)
