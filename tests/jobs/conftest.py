"""A few small videos as a dataset, jobs run as the command line runs them, tables to compare."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from videoproc.media import write_video
from videoproc.tables import Dataset
from videoproc.types import Row


def _frames(seed: int, count: int) -> Iterator[np.ndarray]:
    texture = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    texture = texture.repeat(6, axis=0).repeat(6, axis=1)
    for i in range(count):
        yield np.roll(texture, i, axis=1)


@pytest.fixture(scope="session")
def write_small() -> Callable[..., Path]:
    """Writes a video of 24 frames at 48x48 whose content depends on `seed`."""

    def write(path: Path, seed: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, _frames(seed, 24), fps=12)
        return path

    return write


@pytest.fixture(scope="session")
def write_undecodable(write_small: Callable[..., Path]) -> Callable[..., Path]:
    """Writes a video whose header and packet index are whole and whose pictures are zeros."""

    def write(path: Path, seed: int) -> Path:
        content = bytearray(write_small(path, seed).read_bytes())
        start = content.index(b"mdat") + 4
        content[start:] = bytes(len(content) - start)
        # Not the same zeros for every seed: files of the same bytes are one video.
        content[-4:] = seed.to_bytes(4, "big")
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def videos(tmp_path: Path, write_small: Callable[..., Path]) -> Path:
    """A corpus of six good videos of two classes."""
    folder = tmp_path / "videos"
    for i in range(6):
        write_small(folder / ("walk", "run")[i % 2] / f"{i}.mp4", i)
    return folder


@pytest.fixture
def run_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a job's command line in this process; its exit code, output and errors."""
    from pipelines import cli

    def run(module: ModuleType, *arguments: str) -> tuple[int, str, str]:
        name = module.__name__.rpartition(".")[2]
        job = getattr(module, name, None) or module.run
        config_class = getattr(module, f"{name.capitalize()}Config")
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        code = 0
        try:
            cli.main(job, config_class)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def rows_of() -> Callable[[Path], dict[str, list[Row]]]:
    """All clips and features of a dataset, each in the order of its key."""

    def rows(data: Path) -> dict[str, list[Row]]:
        dataset = Dataset(folder=data)
        return {
            name: table.read().sort_by([(column, "ascending") for column in table.key]).to_pylist()
            for name, table in (("clips", dataset.clips), ("features", dataset.features))
        }

    return rows
