"""Gaussian blur."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from videoproc.augment.settings import Augmentation

REACH = 3.0  # the kernel goes so many standard deviations far


@dataclass(frozen=True, kw_only=True)
class Params:
    sigma_px: float


def draw(
    rng: np.random.Generator, settings: Augmentation, _shape_thw: tuple[int, int, int]
) -> Params | None:
    sigma_px = settings.blur_px * rng.random()
    return Params(sigma_px=sigma_px) if sigma_px else None


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    """uint8 (T, H, W, 3) blurred in space; beyond the edge the picture goes on as it ends.

    NumPy, a frame at a time so that it stays in the cache: faster than Pillow and kornia on a core.
    """
    radius = math.ceil(REACH * params.sigma_px)
    at = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (at / params.sigma_px) ** 2).astype(np.float32)
    kernel /= kernel.sum()
    _, height, width, _ = frames_thwc.shape
    around = ((radius, radius), (radius, radius), (0, 0))
    made = np.empty(frames_thwc.shape, np.uint8)
    for frame_hwc, made_hwc in zip(frames_thwc, made, strict=True):
        padded = np.pad(frame_hwc, around, "edge").astype(np.float32)
        rows = sum(k * padded[i : i + height] for i, k in enumerate(kernel))
        blurred = sum(k * rows[:, i : i + width] for i, k in enumerate(kernel))
        made_hwc[:] = np.rint(blurred)
    return made
