"""Clips whose content is known, and features of them by the names of their columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from videoproc.features import FEATURES

Clip = Callable[..., np.ndarray]


@pytest.fixture
def measure():
    """The feature of this name of frames at `fps`, or at `pts_s`: values by column."""

    def measured(name: str, frames: np.ndarray, *, fps: float = 25.0, pts_s=None):
        times_s = np.arange(len(frames)) / fps if pts_s is None else np.asarray(pts_s)
        vector = FEATURES[name].compute(frames, times_s)
        return dict(zip(FEATURES[name].columns, vector.tolist(), strict=True))

    return measured


@pytest.fixture
def still() -> Clip:
    """A picture (H, W), in grey, for as many frames as are wanted."""

    def made(grey_hw: np.ndarray, num_frames: int = 4) -> np.ndarray:
        frames = np.broadcast_to(
            grey_hw.astype(np.uint8)[None, ..., None], (num_frames, *grey_hw.shape, 3)
        )
        return np.ascontiguousarray(frames)

    return made


@pytest.fixture
def stripes() -> Clip:
    """Stripes, 16 pixels from one to the next, across a gradient at `degrees` clockwise from the
    right: 0 runs up and down, 90 from left to right."""

    def made(degrees: float, side: int = 96) -> np.ndarray:
        y, x = np.mgrid[:side, :side]
        turn = np.radians(degrees)
        along = x * np.cos(turn) + y * np.sin(turn)
        return (127.5 + 100 * np.sin(2 * np.pi * along / 16)).astype(np.uint8)

    return made


@pytest.fixture(scope="session")
def texture() -> np.ndarray:
    """A picture (320, 320) with detail at several scales everywhere."""
    rng = np.random.default_rng(0)
    sum_hw = np.zeros((320, 320))
    for side in (20, 40, 80):
        coarse = Image.fromarray(rng.uniform(0, 255, (side, side)).astype(np.float32))
        sum_hw += np.asarray(coarse.resize((320, 320), Image.Resampling.BICUBIC))
    return ((sum_hw - sum_hw.min()) / np.ptp(sum_hw) * 255).astype(np.uint8)


@pytest.fixture
def sliding(texture: np.ndarray) -> Clip:
    """The texture, moving by (right_px, down_px) a frame, seen through a square window."""

    def made(right_px: int, down_px: int, *, num_frames: int = 6, side: int = 96) -> np.ndarray:
        windows = []
        for t in range(num_frames):
            top, left = 112 - down_px * t, 112 - right_px * t
            windows.append(texture[top : top + side, left : left + side])
        return np.ascontiguousarray(np.stack(windows)[..., None].repeat(3, axis=-1))

    return made


@pytest.fixture
def square() -> Clip:
    """A bright square on black, its left edge at each of `lefts`."""

    def made(lefts, *, size: int = 20, top: int = 30, side: int = 96) -> np.ndarray:
        frames = np.zeros((len(lefts), side, side, 3), np.uint8)
        for frame, left in zip(frames, lefts, strict=True):
            frame[top : top + size, left : left + size] = 255
        return frames

    return made
