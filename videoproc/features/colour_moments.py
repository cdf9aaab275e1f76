"""Colour moments in CIE Lab: of the whole clip, and how they change in it."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import mean_and_deviation, mean_and_deviation_columns
from videoproc.features.pictures import opencv

CHANNELS = ("lightness", "green_red", "blue_yellow")
MOMENTS = ("mean", "deviation", "skewness")


def colour_moments(frames_thwc: np.ndarray, _pts_s: np.ndarray) -> np.ndarray:
    """Mean, standard deviation and cube root of the third moment (Stricker and Orengo 1995) of
    L* / 100, a* / 128 and b* / 128 over all pixels of the clip, channel by channel.

    Then the standard deviations over time of the same moments of single frames; the mean absolute
    change of each channel's mean from a frame to the next; and mean and deviation over time of
    colourfulness (Hasler and Süsstrunk 2003, of R, G, B in [0, 1]).
    """
    cv2 = opencv()
    num_frames, height, width, _ = frames_thwc.shape
    levels = np.empty((num_frames, 3, 256))
    colourful = np.empty((num_frames, 1))
    for t, frame in enumerate(frames_thwc):
        lab = cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_RGB2LAB).reshape(-1, 3)
        for channel in range(3):
            levels[t, channel] = np.bincount(lab[:, channel], minlength=256)
        colourful[t] = colourfulness(frame)
    levels /= height * width
    of_clip, of_frames = moments(levels.mean(axis=0)), moments(levels)
    means = of_frames[..., 0]
    change = np.abs(np.diff(means, axis=0)).mean(axis=0) if num_frames > 1 else np.zeros(3)
    return np.concatenate(
        [of_clip.ravel(), of_frames.std(axis=0).ravel(), change, mean_and_deviation(colourful)]
    ).astype(np.float32)


def moments(levels: np.ndarray) -> np.ndarray:
    """The three moments of L, a, b given as histograms of OpenCV's bytes (..., 3, 256)."""
    values = np.stack([np.arange(256) / 255, *[(np.arange(256) - 128) / 128] * 2])
    mean = (levels * values).sum(axis=-1, keepdims=True)
    off = values - mean
    deviation = np.sqrt((levels * off**2).sum(axis=-1))
    return np.stack([mean[..., 0], deviation, np.cbrt((levels * off**3).sum(axis=-1))], axis=-1)


def colourfulness(frame_hwc: np.ndarray) -> float:
    red, green, blue = (frame_hwc[..., c].astype(np.float32) / 255 for c in range(3))
    opponents = red - green, (red + green) / 2 - blue
    spread = np.hypot(*[opponent.std() for opponent in opponents])
    centre = np.hypot(*[opponent.mean() for opponent in opponents])
    return float(spread + 0.3 * centre)


COLUMNS = (
    *(f"{channel}_{moment}" for channel in CHANNELS for moment in MOMENTS),
    *(f"{channel}_{moment}_deviation" for channel in CHANNELS for moment in MOMENTS),
    *(f"{channel}_change" for channel in CHANNELS),
    *mean_and_deviation_columns(["colourfulness"]),
)

FEATURE = Feature(name="colour_moments", version=1, columns=COLUMNS, compute=colour_moments)
