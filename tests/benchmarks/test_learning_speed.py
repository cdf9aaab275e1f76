from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.learning import speed, speed_memory
from benchmarks.learning.speed import QUICK, Bench
from videoproc.media import write_video
from videoproc.tables import Dataset


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes of 14 videos of noise."""
    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    for i in range(28):
        path = folder / ("left", "right")[i % 2] / f"{i}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_video(path, rng.integers(0, 256, (8, 32, 32, 3), np.uint8), fps=12)
    return folder


@pytest.mark.slow
def test_shards_are_measured_beside_memory_and_beside_a_loader_that_decodes(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(tmp_path / "workspace"))
    bench = Bench(corpus, tmp_path / "work", QUICK)
    cases = {"epochs": bench.epochs(), "loading": bench.loading()}
    told = {row["name"]: row["by_round"] for row in speed.reached(cases)}
    assert set(told) == {"wait", "memory", "loading"}
    assert all(len(by_round) == QUICK.rounds and min(by_round) > 0 for by_round in told.values())


def test_the_table_whose_memory_is_measured_has_so_many_clips(tmp_path: Path) -> None:
    speed_memory.write(tmp_path, 5)
    assert len(Dataset(folder=tmp_path).clips.keys()) == 5
