"""Hue: all colours turned by one angle, luma kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoproc.augment.colours import recolour
from videoproc.augment.grey import LUMA
from videoproc.augment.settings import Augmentation

# YIQ (FCC 1953): luma, and two axes of chroma, in whose plane hue is an angle.
TO_YIQ = np.array([LUMA, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float64)


@dataclass(frozen=True, kw_only=True)
class Params:
    degrees: float


def draw(
    rng: np.random.Generator, settings: Augmentation, _shape_thw: tuple[int, int, int]
) -> Params | None:
    degrees = settings.hue_deg * rng.uniform(-1.0, 1.0)
    return Params(degrees=degrees) if degrees else None


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    """Takes and returns uint8 (T, H, W, 3); values that leave [0, 255] are clipped."""
    angle = np.deg2rad(params.degrees)
    cos, sin = np.cos(angle), np.sin(angle)
    turned = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
    return recolour(frames_thwc, np.linalg.inv(TO_YIQ) @ turned @ TO_YIQ)
