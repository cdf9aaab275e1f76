"""Masks: (T, H, W), boolean or a label a pixel."""

from __future__ import annotations

import numpy as np

from videoproc.geometry.affine import transform_points


def transform(masks_thw: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Masks moved by an affine (3, 3) matrix, nearest pixel; 0 where nothing was."""
    height, width = masks_thw.shape[1:]
    y, x = np.mgrid[:height, :width] + 0.5
    source_xy = transform_points(np.stack([x, y], axis=-1), np.linalg.inv(matrix))
    column, row = np.floor(source_xy).astype(np.int64).transpose(2, 0, 1)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    moved = np.zeros_like(masks_thw)
    moved[:, inside] = masks_thw[:, row[inside], column[inside]]
    return moved
