"""Affine maps of the picture plane as (3, 3) matrices.

Coordinates are continuous, x to the right and y downwards: pixel i covers [i, i + 1), and a frame
[0, width) x [0, height). So a mirrored x is width - x, and pixel centres lie at i + 0.5.
"""

from __future__ import annotations

import numpy as np


def translation(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def scaling(x: float, y: float) -> np.ndarray:
    """About the origin; negative factors mirror."""
    return np.diag([x, y, 1.0])


def rotation(degrees: float) -> np.ndarray:
    """About the origin, counter-clockwise as one looks at the picture."""
    angle = np.deg2rad(degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])


def about(centre_xy: tuple[float, float], matrix: np.ndarray) -> np.ndarray:
    """`matrix` with its origin moved to `centre_xy`."""
    x, y = centre_xy
    return translation(x, y) @ matrix @ translation(-x, -y)


def transform_points(points_xy: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """(..., 2) points moved by a (3, 3) matrix."""
    return points_xy @ matrix[:2, :2].T + matrix[:2, 2]
