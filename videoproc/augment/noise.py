"""Noise of a sensor: its strength holds over a clip, its values are anew in each frame."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from videoproc.augment.settings import Augmentation


@dataclass(frozen=True, kw_only=True)
class Params:
    """seed: decides every value."""

    std: float
    seed: int


def draw(
    rng: np.random.Generator, settings: Augmentation, _shape_thw: tuple[int, int, int]
) -> Params | None:
    std, seed = settings.noise * rng.random(), int(rng.integers(2**63))
    return Params(std=std, seed=seed) if std else None


def apply(frames_thwc: np.ndarray, params: Params) -> np.ndarray:
    """Normal noise of `std` levels on each value of uint8 (T, H, W, 3), clipped to [0, 255]."""
    rng = np.random.default_rng(params.seed)
    made = np.empty(frames_thwc.shape, np.uint8)
    for frame_hwc, made_hwc in zip(frames_thwc, made, strict=True):
        noise = rng.standard_normal(frame_hwc.shape, np.float32) * np.float32(params.std)
        made_hwc[:] = np.clip(np.rint(frame_hwc + noise), 0, 255)
    return made
