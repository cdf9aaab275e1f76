"""One small training for all tests of jobs that need a trained model."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pipelines.train import TrainConfig, train
from videoproc import runlog
from videoproc.learning.loop import LoopConfig
from videoproc.learning.optim import OptimConfig

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
) -> Iterator[Trained]:
    folder = tmp_path_factory.mktemp("trained")
    data = Path(shutil.copytree(_extracted, folder / "data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(folder / "workspace"))
        run_id = train(tiny_config(data))
    yield Trained(data=data, workspace=folder / "workspace", run_id=run_id)


@pytest.fixture
def trained(_trained: Trained, monkeypatch: pytest.MonkeyPatch) -> Trained:
    """A finished training; its workspace is the job's own. Read its dataset, do not change it."""
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(_trained.workspace))
    return _trained
