"""A few small videos as a dataset, jobs run as the command line runs them, tables to compare,
and one small training for all tests of jobs that need a trained model."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch

from pipelines.train import TrainConfig, train
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.corpus.layouts import LAYOUTS
from videoproc.corpus.splits import SplitConfig
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position
from videoproc.learning.config import LoopConfig, OptimConfig
from videoproc.media import write_video
from videoproc.models import model_config
from videoproc.tables import Dataset, Recipe
from videoproc.types import Row


def _frames(seed: int, count: int) -> Iterator[np.ndarray]:
    texture = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    texture = texture.repeat(6, axis=0).repeat(6, axis=1)
    for i in range(count):
        yield np.roll(texture, i, axis=1)


@pytest.fixture(scope="session")
def _empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    runlog.find_run(data=Path("none"), workspace=folder, tags={})
    return folder / "mlflow.db"


@pytest.fixture(autouse=True)
def _store(workspace: Path, _empty_store: Path) -> None:
    """Each test begins with an empty MLflow store: a copy, since MLflow takes 2 s to make one."""
    workspace.mkdir()
    shutil.copy(_empty_store, workspace)


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
    """Writes a video whose header and first picture are whole, and whose later ones are zeros."""

    def write(path: Path, seed: int) -> Path:
        content = bytearray(write_small(path, seed).read_bytes())
        start = (content.index(b"mdat") + len(content)) // 2
        content[start:] = bytes(len(content) - start)
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


@pytest.fixture(scope="session")
def make_manifest() -> Callable[[Path, Path], None]:
    """Writes the manifest of a folder of videos, as `index` does, without a run in MLflow."""

    def make(source: Path, data: Path) -> None:
        built = manifest.build(LAYOUTS["folder"](source), split=SplitConfig(), workers=2)
        Dataset(folder=data).manifest.replace(manifest.to_table(built.videos))

    return make


@pytest.fixture
def run_job(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Runs a job's command line in this process; its exit code, output and errors."""
    from pipelines import cli

    def run(module: ModuleType, *arguments: str) -> tuple[int, str, str]:
        name = module.__name__.rpartition(".")[2]
        job = module.run if hasattr(module, "run") else getattr(module, name)
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


TINY = {"channels": [4, 8], "features": 8, "hidden": 8, "dropout": 0.0}
EPOCHS = 3


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A finished training: its dataset, the workspace of its run, and the run."""

    data: Path
    workspace: Path
    run_id: str

    @property
    def run(self) -> runlog.Run:
        return runlog.open_run(self.run_id, workspace=self.workspace)


def tiny_config(data: Path, *, loop: dict[str, Any] | None = None, **settings: Any) -> TrainConfig:
    loop_settings = {"epochs": EPOCHS, "batch_size": 8, "optim": OptimConfig(learning_rate=1e-2)}
    defaults = {"model": "cnn_gru", "model_settings": TINY, "workers": 2, "cpus_per_worker": 1}
    return TrainConfig(
        data=str(data),
        loop=LoopConfig(**(loop_settings | (loop or {}))),
        **(defaults | settings),
    )


@pytest.fixture(scope="session")
def make_config() -> Callable[..., TrainConfig]:
    """make_config(data, loop={...}, **settings): a training of some seconds."""
    return tiny_config


@pytest.fixture(scope="session")
def _trained(
    _extracted: Path,
    ray_cluster: None,  # noqa: ARG001 - must run while the training does
    tmp_path_factory: pytest.TempPathFactory,
) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    data = Path(shutil.copytree(_extracted, folder / "data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(folder / "workspace"))
        run_id = train(tiny_config(data))
    return Trained(data=data, workspace=folder / "workspace", run_id=run_id)


@pytest.fixture
def trained(_trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """A finished training; its workspace is the job's own. Read its dataset, do not change it."""
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(_trained.workspace))
    return _trained


@pytest.fixture
def log_untrained(trained: Trained, tmp_path: Path) -> Callable[..., str]:
    """Logs a run like `trained` of another architecture with fresh weights; gives its id."""
    card = checkpoint.read_card(trained.run.checkpoint_folder(trained.workspace))
    made = itertools.count()

    def log(*, model: str = "cnn", recipe: Recipe | None = None, **tags: str) -> str:
        settings = asdict(model_config(model, {"channels": [4, 8]}))
        other = replace(card, model=model, model_settings=settings)
        if recipe is not None:
            other = replace(other, recipe=recipe.to_json())
        torch.manual_seed(0)
        network = other.build()
        folder = tmp_path / f"untrained {next(made)}"
        checkpoint.save(
            folder,
            model=network,
            optimiser=torch.optim.SGD(network.parameters()),
            card=other,
            position=Position(),
        )
        with runlog.job_run(
            "train", data=trained.data, workspace=trained.workspace, config={"model": model}
        ) as run:
            run.set_tags({k: v for k, v in trained.run.tags.items() if k in SAME_TAGS})
            run.set_tags({"model": model} | tags)
            run.log_json(trained.run.read_json(runlog.LEARNED_FROM), runlog.LEARNED_FROM)
            run.log_folder(checkpoint.best(folder), "checkpoint")
        return run.run_id

    return log


SAME_TAGS = ("data", "task", "manifest_digest", "table_version.clips", "table_version.manifest")
