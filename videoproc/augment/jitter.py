"""Colour jitter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoproc.augment.colours import recolour
from videoproc.augment.grey import LUMA
from videoproc.augment.settings import Augmentation


@dataclass(frozen=True, kw_only=True)
class Params:
    """Factors; 1 keeps."""

    brightness: float
    contrast: float
    saturation: float


def draw(
    rng: np.random.Generator, settings: Augmentation, _shape_thw: tuple[int, int, int]
) -> Params | None:
    brightness, contrast, saturation = 1 + settings.jitter * rng.uniform(-1, 1, 3)
    if settings.jitter == 0:
        return None
    return Params(brightness=brightness, contrast=contrast, saturation=saturation)


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    """Brightness, saturation, and contrast around the clip's mean scaled by a factor each.

    Takes and returns uint8 (T, H, W, 3); values that leave [0, 255] are clipped.
    """
    # Each is linear in the colours, so that together they are one matrix and one offset.
    scaled = params.brightness * LUMA
    colours = params.saturation * params.brightness * np.eye(3) + (1 - params.saturation) * scaled
    mean = np.array([frames_thwc[..., channel].mean() for channel in range(3)]) @ scaled
    offset = (1 - params.contrast) * mean
    return recolour(frames_thwc, params.contrast * colours, offset=offset)
