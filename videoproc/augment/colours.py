"""Colours changed by a matrix, for the kinds that do so."""

from __future__ import annotations

import numpy as np


def recolour(frames_thwc: np.ndarray, matrix: np.ndarray, *, offset: float = 0.0) -> np.ndarray:
    """Every colour of uint8 (T, H, W, 3) as `matrix @ colour + offset`, rounded and clipped to
    [0, 255].

    A frame at a time: it stays in the cache, and a long clip needs no floats of all its frames.
    """
    to_rgb, added = matrix.T.astype(np.float32), np.float32(offset)
    made = np.empty(frames_thwc.shape, np.uint8)
    for frame_hwc, made_hwc in zip(frames_thwc, made, strict=True):
        made_hwc[:] = np.clip(np.rint(frame_hwc.astype(np.float32) @ to_rgb + added), 0, 255)
    return made
