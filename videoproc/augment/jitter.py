"""Colour jitter."""

from __future__ import annotations

import numpy as np


def colour_jitter(
    frames_thwc: np.ndarray, *, brightness: float, contrast: float, saturation: float
) -> np.ndarray:
    """Scale brightness, contrast around the clip's mean and saturation by a factor each (1 keeps).

    Takes and returns uint8 (T, H, W, 3); values that leave [0, 255] are clipped.
    """
    frames = frames_thwc.astype(np.float32) * brightness
    grey = frames @ np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601 luma
    frames = grey[..., None] + (frames - grey[..., None]) * saturation
    frames = grey.mean() + (frames - grey.mean()) * contrast
    return np.clip(np.rint(frames), 0, 255).astype(np.uint8)
