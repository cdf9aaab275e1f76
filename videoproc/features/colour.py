"""Colour statistics: moments and a histogram of each channel over the whole clip."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature

BINS = 8


def colour_statistics(frames_thwc: np.ndarray, _pts_s: np.ndarray) -> np.ndarray:
    """Per channel: mean, standard deviation and cube root of the third moment (all in [0, 1]
    units of the full range; Stricker and Orengo 1995), then a histogram of BINS equal bins that
    sums to 1. Length 3 * (3 + BINS), channel by channel.
    """
    parts = []
    for channel in range(3):
        levels = np.bincount(frames_thwc[..., channel].ravel(), minlength=256) / (
            frames_thwc[..., channel].size
        )
        values = np.arange(256) / 255
        mean = (levels * values).sum()
        deviation = values - mean
        moments = [
            mean,
            np.sqrt((levels * deviation**2).sum()),
            np.cbrt((levels * deviation**3).sum()),
        ]
        parts.append([*moments, *levels.reshape(BINS, -1).sum(axis=1)])
    return np.concatenate(parts).astype(np.float32)


COLUMNS = tuple(
    f"{channel}_{name}"
    for channel in ("red", "green", "blue")
    for name in ("mean", "deviation", "skewness", *(f"bin{i}" for i in range(BINS)))
)

FEATURE = Feature(name="colour", version=1, columns=COLUMNS, compute=colour_statistics)
