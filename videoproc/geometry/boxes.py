"""Boxes: float (N, 4), x0 y0 x1 y1 in pixels, x1 and y1 just past the last pixel."""

from __future__ import annotations

import numpy as np

from videoproc.geometry.affine import transform_points


def transform(boxes_n4: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """The smallest upright boxes around boxes that an affine (3, 3) matrix has moved.

    Turned by other than quarter turns a box grows: its corners say nothing of what lies in it.
    """
    boxes = np.asarray(boxes_n4, np.float64).reshape(-1, 4)
    corners_n42 = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    moved = transform_points(corners_n42, matrix)
    return np.concatenate([moved.min(axis=1), moved.max(axis=1)], axis=1)


def clip(boxes_n4: np.ndarray, *, height: int, width: int) -> np.ndarray:
    """Boxes cut to the frame; one that lies outside keeps its row and has no area."""
    return np.clip(boxes_n4, 0.0, np.array([width, height, width, height], np.float64))


def areas(boxes_n4: np.ndarray) -> np.ndarray:
    """(N,) in square pixels."""
    return (boxes_n4[:, 2] - boxes_n4[:, 0]) * (boxes_n4[:, 3] - boxes_n4[:, 1])
