"""Turning the picture about its middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from videoproc.augment.settings import Augmentation
from videoproc.geometry import affine


@dataclass(frozen=True, kw_only=True)
class Params:
    degrees: float  # counter-clockwise


def draw(
    rng: np.random.Generator, settings: Augmentation, _shape_thw: tuple[int, int, int]
) -> Params | None:
    degrees = settings.rotate_deg * rng.uniform(-1.0, 1.0)
    return Params(degrees=degrees) if degrees else None


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    """Every frame of (T, H, W, 3) uint8 turned, bilinear; what comes from outside is black.

    By Pillow: kornia took 0.6 to 0.9 of its CPU time, and brings torch with it, a second and
    217 MB in each of Ray's workers (benchmarks/results/augment_cost.json).
    """
    _, height, width, _ = frames_thwc.shape
    # Pillow's matrix goes from the new picture to the old, in coordinates like ours.
    back = np.linalg.inv(matrix(params, height=height, width=width))[:2].ravel().tolist()
    turned = [
        Image.fromarray(frame_hwc).transform(
            (width, height), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR
        )
        for frame_hwc in np.ascontiguousarray(frames_thwc)
    ]
    return np.stack([np.asarray(frame) for frame in turned])


def matrix(params: Params, *, height: int, width: int) -> np.ndarray:
    return affine.about((width / 2, height / 2), affine.rotation(params.degrees))
