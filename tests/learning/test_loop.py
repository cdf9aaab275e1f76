from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from videoproc.augment import StepAugmentation
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position
from videoproc.learning.config import LoopConfig, OptimConfig
from videoproc.learning.loader import GlobalBatch
from videoproc.learning.loop import Trainer

MakeTrainer = Callable[..., Trainer]


class PulledPlugError(Exception):
    pass


def quality(position: Position) -> list[tuple[float, float]]:
    """Of each epoch, the higher the better: accuracy, then the loss where that is the same."""
    return [(metrics["val/accuracy"], -metrics["val/loss"]) for metrics in position.history]


def stop_at(trainer: Trainer, step: int) -> None:
    """Make the trainer fail when it comes to `step`."""
    real_step = trainer.step

    def checked_step(batch: GlobalBatch) -> float:
        if trainer.position.step == step:
            raise PulledPlugError
        return real_step(batch)

    trainer.step = checked_step  # type: ignore[method-assign]


def test_training_learns_what_can_be_learned(make_trainer: MakeTrainer) -> None:
    history = make_trainer(epochs=12).fit().history
    assert history[0]["train/loss"] > 2 * history[-1]["train/loss"]
    assert history[-1]["val/accuracy"] > 0.9


def test_metrics_are_reported_once_an_epoch_and_stand_in_the_checkpoint(
    make_trainer: MakeTrainer,
) -> None:
    reported: list = []
    trainer = make_trainer(epochs=3, reported=reported)
    trainer.fit()
    assert [epoch for _, epoch in reported] == [0, 1, 2]
    assert [metrics for metrics, _ in reported] == checkpoint.last_position(trainer.folder).history


def test_the_same_seed_gives_the_same_weights_and_another_seed_others(
    make_trainer: MakeTrainer,
) -> None:
    trainers = [
        make_trainer(name, seed=seed, dropout=0.5) for name, seed in [("a", 0), ("b", 0), ("c", 1)]
    ]
    for trainer in trainers:
        trainer.fit()
    first, same, other = [trainer.model.state_dict() for trainer in trainers]
    torch.testing.assert_close(same, first, rtol=0, atol=0)
    assert not other["head.1.weight"].equal(first["head.1.weight"])


# 5 steps an epoch. 3: no checkpoint yet but that of step 2. 7: in the second epoch.
@pytest.mark.parametrize("stopped_at", [1, 3, 5, 7, 9])
def test_a_resumed_run_ends_exactly_as_the_uninterrupted_one(
    make_trainer: MakeTrainer, stopped_at: int
) -> None:
    whole = make_trainer("whole", dropout=0.5, checkpoint_every_steps=2)
    whole.fit()
    interrupted = make_trainer("stopped", dropout=0.5, checkpoint_every_steps=2)
    stop_at(interrupted, stopped_at)
    with pytest.raises(PulledPlugError):
        interrupted.fit()
    resumed = make_trainer("stopped", dropout=0.5, checkpoint_every_steps=2)
    resumed.fit()
    torch.testing.assert_close(resumed.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)
    for ours, theirs in zip(resumed.position.history, whole.position.history, strict=True):
        assert ours["train/loss"] == pytest.approx(theirs["train/loss"], rel=1e-12)
        assert ours["val/loss"] == theirs["val/loss"]


def test_a_resumed_run_that_augments_ends_exactly_as_the_uninterrupted_one(
    make_trainer: MakeTrainer,
) -> None:
    augmentation = StepAugmentation(
        flip_vertical=True, min_crop_area=0.5, jitter=0.3, mixup=0.5, cutmix=1.0
    )
    how = {"checkpoint_every_steps": 2, "augmentation": augmentation}
    whole = make_trainer("whole", **how)
    whole.fit()
    interrupted = make_trainer("stopped", **how)
    stop_at(interrupted, 8)
    with pytest.raises(PulledPlugError):
        interrupted.fit()
    resumed = make_trainer("stopped", **how)
    resumed.fit()
    torch.testing.assert_close(resumed.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)


def test_a_model_learns_from_mixed_clips_too(make_trainer: MakeTrainer) -> None:
    augmentation = StepAugmentation(mixup=0.2)
    history = make_trainer(epochs=12, augmentation=augmentation).fit().history
    assert history[-1]["val/accuracy"] > 0.9


def test_a_resumed_run_stands_in_the_middle_of_its_epoch(make_trainer: MakeTrainer) -> None:
    interrupted = make_trainer(checkpoint_every_steps=3)
    stop_at(interrupted, 8)
    with pytest.raises(PulledPlugError):
        interrupted.fit()
    position = make_trainer(checkpoint_every_steps=3).position
    assert (position.epoch, position.batch, position.step) == (1, 1, 6)


def test_at_a_notice_a_checkpoint_is_written_at_that_step_and_training_goes_on(
    make_trainer: MakeTrainer,
) -> None:
    whole = make_trainer("whole", dropout=0.5)
    whole.fit()
    warned = make_trainer("warned", dropout=0.5)
    warned.is_leaving = lambda: warned.position.step == 7  # asked before the step is counted
    stop_at(warned, 9)
    with pytest.raises(PulledPlugError):
        warned.fit()
    resumed = make_trainer("warned", dropout=0.5)
    assert (resumed.position.epoch, resumed.position.batch, resumed.position.step) == (1, 3, 8)
    resumed.fit()
    torch.testing.assert_close(resumed.model.state_dict(), whole.model.state_dict(), rtol=0, atol=0)


def test_a_notice_at_an_epochs_last_step_saves_before_the_validation_and_again_after_it(
    make_trainer: MakeTrainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_trainer("whole", epochs=1)
    whole.fit()
    warned = make_trainer("warned", epochs=1)
    warned.is_leaving = lambda: warned.position.step == 4

    def pull_plug() -> None:
        raise PulledPlugError

    monkeypatch.setattr(warned, "_validate", pull_plug)
    with pytest.raises(PulledPlugError):
        warned.fit()
    resumed = make_trainer("warned", epochs=1)
    assert (resumed.position.batch, resumed.position.step) == (5, 5)
    resumed.fit()
    assert checkpoint.last_position(resumed.folder).finished
    assert resumed.position.history[0]["train/loss"] == whole.position.history[0]["train/loss"]
    assert resumed.position.history[0]["val/loss"] == whole.position.history[0]["val/loss"]


def test_resuming_a_finished_run_changes_nothing(make_trainer: MakeTrainer) -> None:
    reported: list = []
    done = make_trainer().fit()
    assert make_trainer(reported=reported).fit() == done
    assert reported == []


def test_early_stopping_ends_after_the_patience_without_a_better_value(
    make_trainer: MakeTrainer,
) -> None:
    rough = OptimConfig(learning_rate=0.3)
    values = quality(make_trainer(epochs=50, patience=3, optim=rough).fit())
    assert len(values) == values.index(max(values)) + 1 + 3 < 50


def test_the_best_checkpoint_is_that_of_the_best_epoch(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(epochs=6, optim=OptimConfig(learning_rate=0.3))
    values = quality(trainer.fit())
    best = checkpoint.read_position(checkpoint.best(trainer.folder))
    assert best.epoch == values.index(max(values)) + 1


def test_an_epoch_whose_loss_is_no_number_is_never_the_best(make_trainer: MakeTrainer) -> None:
    trainer = make_trainer(epochs=3, seed=2, optim=OptimConfig(learning_rate=1e-9))
    # A network of NaN tells the first class of everything, which here is always right.
    trainer.val = [sample for sample in trainer.val if sample.row["label"] == "bright"]
    real_step = trainer.step

    def breaking_step(batch: GlobalBatch) -> float:
        if trainer.position.epoch == 1:
            with torch.no_grad():
                for weight in trainer.model.parameters():
                    weight.fill_(torch.nan)
        return real_step(batch)

    trainer.step = breaking_step  # type: ignore[method-assign]
    position = trainer.fit()
    assert position.history[-1]["val/accuracy"] == 1 > position.history[0]["val/accuracy"]
    assert checkpoint.read_position(checkpoint.best(trainer.folder)).epoch == 1


def test_clips_a_second_count_no_clip_twice(make_trainer: MakeTrainer) -> None:
    # 33 clips in one batch of 1000: a rate counted by batches would be thirty times as high.
    metrics = make_trainer(epochs=1, batch_size=1000).fit().history[0]
    by_eight = make_trainer("other", epochs=1, batch_size=33).fit().history[0]
    ratio = metrics["train/clips_per_second"] / by_eight["train/clips_per_second"]
    assert ratio < 10


def test_bf16_trains_too(make_trainer: MakeTrainer) -> None:
    history = make_trainer(epochs=8, precision="bf16").fit().history
    assert history[-1]["train/loss"] < 0.8 * history[0]["train/loss"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("seed", -1),
        ("patience", -1),
        ("checkpoint_every_steps", -1),
        ("precision", "fp8"),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"loop\.{field} is {value!r}"):
        LoopConfig(**{field: value})  # type: ignore[arg-type]
