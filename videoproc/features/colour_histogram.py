"""Colour histograms in HSV: of the whole clip, and how they change in it."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import mean_and_deviation, mean_and_deviation_columns
from videoproc.features.pictures import opencv

HUES = 12
LEVELS = 8
CHANNELS = {"hue": HUES, "saturation": LEVELS, "value": LEVELS}


def colour_histogram(frames_thwc: np.ndarray, _pts_s: np.ndarray) -> np.ndarray:
    """Histograms of hue, saturation and value (Smith 1978), each frame's as shares of its pixels.

    HUES bins of hue, the first centred on red, are weighted by chroma (max - min of R, G, B, in
    [0, 1]): grey has no hue, and its noise no say. LEVELS bins each of saturation and value sum
    to 1. Of each bin the mean over the clip, then its standard deviation over time. Last, for each
    channel, mean and maximum over time of how much of its histogram moves from a frame to the next
    (half of the sum of absolute differences: 0 nothing, 1 everything).
    """
    cv2 = opencv()
    num_frames, height, width, _ = frames_thwc.shape
    made = np.empty((num_frames, sum(CHANNELS.values())))
    for histogram, frame in zip(made, frames_thwc, strict=True):
        hue, saturation, value = cv2.split(
            cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2HSV)
        )
        chroma = saturation.astype(np.float32) * value / 255**2
        half = 180 // HUES // 2  # OpenCV counts hue in steps of 2 degrees
        histogram[:] = np.concatenate(
            [
                np.bincount(
                    ((hue.astype(np.int64) + half) // (180 // HUES) % HUES).ravel(),
                    chroma.ravel(),
                    minlength=HUES,
                ),
                np.bincount((saturation // (256 // LEVELS)).ravel(), minlength=LEVELS),
                np.bincount((value // (256 // LEVELS)).ravel(), minlength=LEVELS),
            ]
        ) / (height * width)
    ends = np.cumsum(list(CHANNELS.values()))[:-1]
    moved = [part.sum(axis=1) / 2 for part in np.split(np.abs(np.diff(made, axis=0)), ends, axis=1)]
    changes = [(part.mean(), part.max()) if len(part) else (0.0, 0.0) for part in moved]
    return np.concatenate([mean_and_deviation(made), np.ravel(changes)]).astype(np.float32)


COLUMNS = (
    *mean_and_deviation_columns(
        [f"hue_{360 // HUES * i}deg" for i in range(HUES)]
        + [f"{channel}_bin{i}" for channel in ("saturation", "value") for i in range(LEVELS)]
    ),
    *(f"{channel}_change_{kind}" for channel in CHANNELS for kind in ("mean", "max")),
)

FEATURE = Feature(name="colour_histogram", version=1, columns=COLUMNS, compute=colour_histogram)
