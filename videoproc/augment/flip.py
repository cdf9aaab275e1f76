"""Mirroring in space."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoproc.augment.settings import Augmentation
from videoproc.geometry import affine


@dataclass(frozen=True, kw_only=True)
class Params:
    horizontal: bool
    vertical: bool


def draw(
    rng: np.random.Generator, settings: Augmentation, _shape_thw: tuple[int, int, int]
) -> Params | None:
    horizontal, vertical = (rng.random(2) < 0.5).tolist()
    params = Params(
        horizontal=horizontal and settings.flip_horizontal,
        vertical=vertical and settings.flip_vertical,
    )
    return params if params.horizontal or params.vertical else None


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    """Every frame of (T, H, W, C) mirrored left to right, top to bottom, or both; a view."""
    rows = slice(None, None, -1) if params.vertical else slice(None)
    columns = slice(None, None, -1) if params.horizontal else slice(None)
    return frames_thwc[:, rows, columns]


def matrix(params: Params, *, height: int, width: int) -> np.ndarray:
    mirrored = affine.scaling(-1 if params.horizontal else 1, -1 if params.vertical else 1)
    return affine.about((width / 2, height / 2), mirrored)
