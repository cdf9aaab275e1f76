"""Spans of time: float (N, 2), start_s and end_s in seconds."""

from __future__ import annotations

import numpy as np


def transform(spans_n2: np.ndarray, *, scale: float, offset_s: float) -> np.ndarray:
    """Spans under t -> scale * t + offset_s; a negative scale swaps start and end."""
    spans = np.asarray(spans_n2, np.float64).reshape(-1, 2)
    return np.sort(spans * scale + offset_s, axis=1)


def clip(spans_n2: np.ndarray, *, start_s: float, end_s: float) -> np.ndarray:
    """Spans cut to [start_s, end_s); one that lies outside keeps its row and has no length."""
    return np.clip(spans_n2, start_s, end_s)
