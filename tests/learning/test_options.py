"""Training with each of its options: learns, resumes to the last bit, is one run on many workers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.learning.test_loop import PulledPlugError, stop_at
from tests.learning.workers import in_workers
from videoproc.augment import StepAugmentation
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LoopConfig, LossConfig, OptimConfig, ScheduleConfig
from videoproc.learning.loop import Trainer
from videoproc.learning.samples import Sample
from videoproc.learning.schedule import plateau_drops
from videoproc.learning.world import World
from videoproc.tasks import select_task

MakeTrainer = Callable[..., Trainer]
PLATEAU = ScheduleConfig(name="plateau", factor=0.5, patience=1)
OPTIONS: dict[str, dict] = {
    "average": {"average": 0.9},
    "accumulate": {"accumulate": 3, "augmentation": StepAugmentation(mixup=0.5)},
    "balanced sampling": {"balanced_sampling": True},
    "plateau": {"optim": OptimConfig(learning_rate=0.1, schedule=PLATEAU)},
    "sgd": {"optim": OptimConfig(name="sgd", learning_rate=0.05, nesterov=True, l1=1e-4, l2=1e-3)},
    "sgd without momentum": {"optim": OptimConfig(name="sgd", momentum=0.0)},
    "adam, one cycle": {
        "optim": OptimConfig(name="adam", schedule=ScheduleConfig(name="one_cycle"))
    },
    "shaped loss": {"loss": LossConfig(label_smoothing=0.1, class_weights="balanced")},
    "rates": {"optim": OptimConfig(rates={"trunk": 0.0, "head": 3.0})},
    "channels last": {"channels_last": True},
}
LEARNS = {**OPTIONS}
ALL = {
    "average": 0.9,
    "accumulate": 2,
    "balanced_sampling": True,
    "loss": LossConfig(label_smoothing=0.1),
    "channels_last": True,
    "optim": OptimConfig(
        name="sgd", learning_rate=0.05, l1=1e-4, l2=1e-3, rates={"head": 3.0}, schedule=PLATEAU
    ),
}


def states(trainer: Trainer) -> list[dict]:
    average = trainer.average
    return [
        trainer.model.state_dict(),
        trainer.optimiser.state_dict()["state"],
        {} if average is None else average.model.state_dict(),
    ]


# 5 steps an epoch, or 6 where balanced: stopped in the third one.
@pytest.mark.parametrize("options", [*OPTIONS.values(), ALL], ids=[*OPTIONS, "all"])
def test_a_run_that_was_stopped_ends_exactly_as_one_that_was_not(
    make_trainer: MakeTrainer, options: dict
) -> None:
    how = {"epochs": 4, "dropout": 0.5, "checkpoint_every_steps": 2} | options
    whole = make_trainer("whole", **how)
    whole.fit()
    interrupted = make_trainer("stopped", **how)
    stop_at(interrupted, 13)
    with pytest.raises(PulledPlugError):
        interrupted.fit()
    resumed = make_trainer("stopped", **how)
    assert resumed.position.batch > 0, "in the middle of an epoch"
    resumed.fit()
    for ours, theirs in zip(states(resumed), states(whole), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    for now, then in zip(resumed.position.history, whole.position.history, strict=True):
        assert {n: v for n, v in now.items() if n.startswith(("val/", "learning_rate"))} == {
            n: v for n, v in then.items() if n.startswith(("val/", "learning_rate"))
        }
