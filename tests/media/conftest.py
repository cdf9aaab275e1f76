"""Small videos to read: made here, so that each test can say what is in its file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.media.reference import Reference, decode_all
from tests.media.zoo import Case


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


class Zoo:
    """The files of tests/media/zoo.py, encoded when asked for, and what a linear decode shows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._references: dict[tuple[str, tuple[int, int] | None], Reference] = {}

    def path(self, case: Case) -> Path:
        path = self._folder / case.name
        if not path.exists():
            case.build(path)
        return path

    def reference(self, case: Case, size: tuple[int, int] | None) -> Reference:
        if (case.name, size) not in self._references:
            self._references[case.name, size] = decode_all(self.path(case), size=size)
        return self._references[case.name, size]


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    return Zoo(tmp_path_factory.mktemp("zoo"))
