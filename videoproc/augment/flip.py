"""Mirroring in space."""

from __future__ import annotations

import numpy as np


def flip(frames_thwc: np.ndarray, *, horizontal: bool, vertical: bool) -> np.ndarray:
    """Mirror every frame of (T, H, W, C) left to right, top to bottom, or both."""
    rows = slice(None, None, -1) if vertical else slice(None)
    columns = slice(None, None, -1) if horizontal else slice(None)
    return frames_thwc[:, rows, columns]
