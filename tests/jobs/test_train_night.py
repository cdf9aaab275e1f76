"""A night that was stopped while it trained: the next one goes on with that run."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import torch

from pipelines.night_learning import _train_config, train_and_evaluate
from pipelines.night_report import Diary
from pipelines.nightly import NightlyConfig
from pipelines.train import prepare
from videoproc import runlog
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position
from videoproc.learning.config import LoopConfig
from videoproc.tables import Dataset


def stopped_training(config: NightlyConfig, workspace: Path, *, by_night: bool) -> str:
    """A run whose driver was killed when its last checkpoint was written; its id."""
    prepared = prepare(_train_config(config, "cnn"))
    data = Path(config.data)
    with (
        suppress(KeyboardInterrupt),
        runlog.job_run("train", data=data, workspace=workspace, config={}) as run,
    ):
        run.set_tags({"training_key": prepared.training_key})
        if by_night:
            run.set_tags({"night": "an earlier one"})
        model = prepared.card.build()
        checkpoint.save(
            workspace / "runs" / run.run_id,
            model=model,
            optimiser=torch.optim.AdamW(model.parameters()),
            card=prepared.card,
            position=Position(step=9, finished=True, history=[{"train/loss": 2.0}]),
        )
        raise KeyboardInterrupt
    return run.run_id


@pytest.fixture
def config(extracted: Path) -> NightlyConfig:
    return NightlyConfig(
        source="nowhere",
        data=str(extracted),
        models=("cnn",),
        model_settings={"cnn": {"channels": [4, 8], "features": 8}},
        loop=LoopConfig(epochs=1, batch_size=8),
    )


def test_the_run_of_a_stopped_night_is_gone_on_with(config: NightlyConfig, workspace: Path) -> None:
    left = stopped_training(config, workspace, by_night=True)
    diary = Diary(dataset=Dataset(folder=Path(config.data)))
    train_and_evaluate(config, diary)
    assert diary.models["cnn"].run_id == left
    assert diary.models["cnn"].history("train/loss") == [(0, 2.0)]
    assert diary.trained == {"cnn"}


@pytest.mark.usefixtures("ray_cluster")
def test_a_run_that_somebody_began_by_hand_is_left_alone(
    config: NightlyConfig, workspace: Path
) -> None:
    left = stopped_training(config, workspace, by_night=False)
    diary = Diary(dataset=Dataset(folder=Path(config.data)))
    train_and_evaluate(config, diary)
    assert diary.models["cnn"].run_id != left
