"""Grey: colours lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoproc.augment.settings import Augmentation

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


@dataclass(frozen=True, kw_only=True)
class Params:
    """Nothing but that it is done."""


def draw(
    rng: np.random.Generator, settings: Augmentation, _shape_thw: tuple[int, int, int]
) -> Params | None:
    return Params() if rng.random() < settings.grey else None


def apply(frames_thwc: np.ndarray, _params: Params) -> np.ndarray:
    """Luma in all three channels of uint8 (T, H, W, 3)."""
    made = np.empty(frames_thwc.shape, np.uint8)
    for frame_hwc, made_hwc in zip(frames_thwc, made, strict=True):  # floats of one frame at a time
        made_hwc[:] = np.rint(frame_hwc.astype(np.float32) @ LUMA)[..., None]
    return made
