"""Texture as people name it: how coarse, how contrasted, how directed (after Tamura 1978)."""

from __future__ import annotations

import numpy as np

from videoproc.features.feature import Feature
from videoproc.features.over_time import mean_and_deviation, mean_and_deviation_columns
from videoproc.features.pictures import grey_frames, opencv

QUANTITIES = ("coarseness_px", "contrast", "directionality", "direction_cos2", "direction_sin2")
SCALES = 4
EDGE_LEVELS = 12  # gradients below say nothing of direction
FRAMES = 8


def tamura(frames_thwc: np.ndarray, _pts_s: np.ndarray) -> np.ndarray:
    """Mean and standard deviation over FRAMES frames of:

    coarseness_px: the mean over pixels of the window, of 2 to 2**SCALES pixels, whose neighbours to
    both sides differ most. contrast: deviation over the fourth root of kurtosis, of grey in [0, 1].
    directionality: 1 where all strong gradients share a direction, 0 where they have none in common
    (length of the mean of doubled angles in place of Tamura's peaks). direction_cos2 and _sin2: the
    same as a vector, of twice the gradients' angle.
    """
    made = [
        [coarseness_px(grey), contrast(grey), np.hypot(cos2, sin2), cos2, sin2]
        for grey in grey_frames(frames_thwc, most=FRAMES).astype(np.float32)
        for cos2, sin2 in [direction(grey)]
    ]
    return mean_and_deviation(np.array(made)).astype(np.float32)


def coarseness_px(grey_hw: np.ndarray) -> float:
    cv2 = opencv()
    best = np.full(grey_hw.shape, -1.0, np.float32)
    window_px = np.zeros(grey_hw.shape, np.float32)
    for scale in range(1, SCALES + 1):
        side, half = 2**scale, 2 ** (scale - 1)
        means = cv2.blur(grey_hw, (side, side), borderType=cv2.BORDER_REFLECT)
        wide = cv2.copyMakeBorder(means, half, half, half, half, cv2.BORDER_REPLICATE)
        across = np.abs(wide[half:-half, side:] - wide[half:-half, :-side])
        down = np.abs(wide[side:, half:-half] - wide[:-side, half:-half])
        # Rounding alone must not choose: a wider window has to differ by more.
        wins = (differs := np.maximum(across, down)) > best + 1e-3
        best[wins], window_px[wins] = differs[wins], side
    return float(window_px.mean())


def contrast(grey_hw: np.ndarray) -> float:
    off = grey_hw / 255 - grey_hw.mean() / 255
    variance = np.mean(off**2, dtype=np.float64)
    if variance < 1e-9:
        return 0.0
    kurtosis = np.mean(off**4, dtype=np.float64) / variance**2
    return float(np.sqrt(variance) / kurtosis**0.25)


def direction(grey_hw: np.ndarray) -> tuple[float, float]:
    """The mean of (cos 2a, sin 2a) over pixels with a strong gradient at angle a."""
    cv2 = opencv()
    across, down = cv2.Sobel(grey_hw, cv2.CV_32F, 1, 0), cv2.Sobel(grey_hw, cv2.CV_32F, 0, 1)
    inner = np.s_[1:-1, 1:-1]  # beyond the border there is no gradient to be had
    strength, angle = cv2.cartToPolar(*(np.ascontiguousarray(one[inner]) for one in (across, down)))
    strong = strength >= 4 * EDGE_LEVELS  # Sobel's weights sum to 4 on either side
    if not strong.any():
        return 0.0, 0.0
    doubled = 2 * angle[strong].astype(np.float64)
    return float(np.cos(doubled).mean()), float(np.sin(doubled).mean())


FEATURE = Feature(
    name="texture_tamura",
    version=1,
    columns=mean_and_deviation_columns(QUANTITIES),
    compute=tamura,
)
