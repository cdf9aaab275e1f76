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
    # A frame at a time: a long clip needs no floats of all its frames.
    luma = [np.rint(frame.astype(np.float32) @ LUMA).astype(np.uint8) for frame in frames_thwc]
    return np.repeat(np.stack(luma)[..., None], 3, axis=-1)
