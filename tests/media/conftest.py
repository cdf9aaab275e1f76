"""Small videos to read: made here, so that each test can say what is in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest


def moving_picture(num_frames: int, *, height: int = 48, width: int = 64) -> Iterator[np.ndarray]:
    """A texture that slides by a pixel a frame, so that every frame differs from the others."""
    rng = np.random.default_rng(0)
    blocks = rng.integers(0, 255, (16, 32, 3), dtype=np.uint8)
    texture = blocks.repeat(8, axis=0).repeat(8, axis=1)
    for i in range(num_frames):
        yield np.roll(texture, -i, axis=1)[:height, :width]


@pytest.fixture(name="moving_picture")
def _moving_picture() -> Callable[..., Iterator[np.ndarray]]:
    return moving_picture
