"""Training with each of its options: what it does, and that it resumes to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from tests.learning.test_loop import PulledPlugError, stop_at
from videoproc.augment import StepAugmentation
from videoproc.learning import checkpoint
from videoproc.learning.config import LossConfig, OptimConfig, ScheduleConfig
from videoproc.learning.evaluate import score
from videoproc.learning.loop import Trainer
from videoproc.learning.objective import training_loss
from videoproc.learning.schedule import plateau_drops
from videoproc.tasks import select_task
from videoproc.types import UserError

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
ALL: dict[str, Any] = {
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


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: weight.clone() for name, weight in trainer.model.state_dict().items()}


def test_parts_of_a_batch_have_the_gradients_of_the_whole(make_trainer: MakeTrainer) -> None:
    found = {}
    for accumulate in (1, 3, 100):
        trainer = make_trainer(str(accumulate), accumulate=accumulate)
        trainer.fit()
        found[accumulate] = weights(trainer), trainer.position.history
    for accumulate in (3, 100):
        torch.testing.assert_close(found[accumulate][0], found[1][0], rtol=1e-3, atol=1e-4)
        for ours, theirs in zip(found[accumulate][1], found[1][1], strict=True):
            assert ours["train/loss"] == pytest.approx(theirs["train/loss"], abs=1e-4)


def test_averaged_weights_validate_and_are_the_checkpoints_model(
    make_trainer: MakeTrainer,
) -> None:
    trainer = make_trainer(average=0.9)
    trainer.fit()
    best = checkpoint.best(trainer.folder)
    model, card = checkpoint.load(best, device=torch.device("cpu"))
    position = checkpoint.read_position(best)
    _, losses = score(
        model,
        trainer.val,
        task=trainer.task,
        spec=card.spec,
        batch_size=8,
        world=trainer.world,
    )
    assert float(losses.mean()) == position.history[-1]["val/loss"]
    assert {path.name for path in best.iterdir()} >= {checkpoint.MODEL, checkpoint.RAW}
    assert trainer.average is not None
    raw, average = trainer.model.state_dict(), trainer.average.model.state_dict()
    assert not raw["head.1.weight"].equal(average["head.1.weight"])


def test_plateau_follows_the_epochs_that_the_checkpoint_has(make_trainer: MakeTrainer) -> None:
    optim = OptimConfig(learning_rate=0.3, warmup_share=0.0, schedule=PLATEAU)
    history = make_trainer(epochs=8, optim=optim).fit().history
    qualities = [(metrics["val/accuracy"], -metrics["val/loss"]) for metrics in history]
    drops = [plateau_drops(qualities[:epoch], patience=1) for epoch in range(8)]
    assert [metrics["learning_rate"] for metrics in history] == [0.3 * 0.5**n for n in drops]
    assert drops[-1] > 0, "or this shows nothing"


def test_a_frozen_part_keeps_its_weights_and_the_others_learn(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(optim=OptimConfig(learning_rate=0.01, rates={"trunk": 0.0}))
    before = weights(trainer)
    trainer.fit()
    changed = {name for name, weight in weights(trainer).items() if not weight.equal(before[name])}
    assert changed == {name for name, _ in trainer.model.named_parameters() if "trunk" not in name}


def test_a_run_begins_with_the_weights_that_were_laid_there_and_resumes_with_its_own(
    make_trainer: MakeTrainer,
) -> None:
    parent = make_trainer("parent")
    parent.fit()
    child = make_trainer("child", seed=1)
    assert not child.model.state_dict()["head.1.weight"].equal(weights(parent)["head.1.weight"])
    checkpoint.save_initial(child.folder, parent.model.state_dict())
    for _ in range(2):  # with and without an average
        child = make_trainer("child", seed=1, average=0.9)
        assert child.average is not None
        for model in (child.model, child.average.model):
            torch.testing.assert_close(model.state_dict(), weights(parent), rtol=0, atol=0)
    child.fit()
    again = make_trainer("child", seed=1, average=0.9)
    torch.testing.assert_close(again.model.state_dict(), weights(child), rtol=0, atol=0)


def test_the_validation_loss_stays_the_plain_one(make_trainer: MakeTrainer) -> None:
    loss = LossConfig(label_smoothing=0.5, class_weights="balanced")
    trainer = make_trainer(epochs=1, loss=loss)
    history = trainer.fit().history
    _, losses = score(
        trainer.model,
        trainer.val,
        task=trainer.task,
        spec=trainer.card.spec,
        batch_size=8,
        world=trainer.world,
    )
    assert history[0]["val/loss"] == float(losses.mean())


def test_a_task_whose_loss_has_no_settings_refuses_them() -> None:
    task = replace(select_task("classification"), training_loss=None)
    assert training_loss(task, [], {}, LossConfig()) is task.loss.loss_b
    with pytest.raises(UserError, match=r"label_smoothing=0\.1.*: leave it out"):
        training_loss(task, [], {}, LossConfig(label_smoothing=0.1))


def test_channels_last_changes_nothing_but_rounding(make_trainer: MakeTrainer) -> None:
    plain, other = make_trainer("plain"), make_trainer("other", channels_last=True)
    filters = [p for p in other.model.parameters() if p.ndim == 4]
    assert filters
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in filters)
    for ours, theirs in zip(other.fit().history, plain.fit().history, strict=True):
        assert ours["val/loss"] == pytest.approx(theirs["val/loss"], abs=1e-4)


@pytest.mark.slow
def test_compiling_changes_nothing_but_rounding(make_trainer: MakeTrainer) -> None:
    how = {"epochs": 3, "batch_size": 33}  # one shape, which is compiled once
    plain, other = make_trainer("plain", **how), make_trainer("other", compile=True, **how)
    for ours, theirs in zip(other.fit().history, plain.fit().history, strict=True):
        assert ours["train/loss"] == pytest.approx(theirs["train/loss"], abs=1e-4)
        assert ours["val/loss"] == pytest.approx(theirs["val/loss"], abs=1e-4)
