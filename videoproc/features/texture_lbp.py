"""Local binary patterns: how often a pixel's neighbourhood is a spot, an edge, a corner, flat."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import mean_and_deviation, mean_and_deviation_columns
from videoproc.features.pictures import grey_frames

NEIGHBOURHOODS = ((8, 1), (16, 2))  # points, radius in pixels
FRAMES = 8


def local_binary_patterns(frames_thwc: np.ndarray, _pts_s: np.ndarray) -> np.ndarray:
    """Histograms of rotation-invariant uniform patterns (Ojala 2002) of 8 points at radius 1 and 16
    at radius 2, each summing to 1: bin i counts pixels with i brighter neighbours in one arc, the
    last bin all others. Mean over FRAMES frames, then standard deviation over time.
    """
    from skimage.feature import local_binary_pattern

    made = []
    for grey in grey_frames(frames_thwc, most=FRAMES):
        histograms = []
        for points, radius_px in NEIGHBOURHOODS:
            codes = local_binary_pattern(grey, points, radius_px, method="uniform")
            inner = codes[radius_px:-radius_px, radius_px:-radius_px].astype(np.int64)
            histograms.append(np.bincount(inner.ravel(), minlength=points + 2) / inner.size)
        made.append(np.concatenate(histograms))
    return mean_and_deviation(np.stack(made)).astype(np.float32)


FEATURE = Feature(
    name="texture_lbp",
    version=1,
    columns=mean_and_deviation_columns(
        f"{points}points_bin{i}" for points, _ in NEIGHBOURHOODS for i in range(points + 2)
    ),
    compute=local_binary_patterns,
)
