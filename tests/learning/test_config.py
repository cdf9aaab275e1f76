from __future__ import annotations

from dataclasses import asdict

import pytest

from videoproc.augment import StepAugmentation
from videoproc.learning.config import LoopConfig, LossConfig, OptimConfig, ScheduleConfig

DEFAULT = LoopConfig()


def test_settings_that_came_later_are_left_out_of_the_identity_at_their_default() -> None:
    assert DEFAULT.identity == {
        "epochs": DEFAULT.epochs,
        "batch_size": DEFAULT.batch_size,
        "seed": DEFAULT.seed,
        "patience": DEFAULT.patience,
        "checkpoint_every_steps": DEFAULT.checkpoint_every_steps,
        "precision": DEFAULT.precision,
        "optim": {
            "learning_rate": DEFAULT.optim.learning_rate,
            "weight_decay": DEFAULT.optim.weight_decay,
            "warmup_share": DEFAULT.optim.warmup_share,
            "clip_norm": DEFAULT.optim.clip_norm,
        },
        "augmentation": asdict(StepAugmentation()),
    }


OTHERS = [
    LoopConfig(epochs=3),
    LoopConfig(loss=LossConfig(label_smoothing=0.1)),
    LoopConfig(loss=LossConfig(class_weights="balanced")),
    LoopConfig(balanced_sampling=True),
    LoopConfig(accumulate=2),
    LoopConfig(average=0.9),
    LoopConfig(channels_last=True),
    LoopConfig(compile=True),
    LoopConfig(augmentation=StepAugmentation(mixup=0.1)),
    LoopConfig(optim=OptimConfig(name="sgd")),
    LoopConfig(optim=OptimConfig(momentum=0.5)),
    LoopConfig(optim=OptimConfig(l1=0.1)),
    LoopConfig(optim=OptimConfig(l2=0.1)),
    LoopConfig(optim=OptimConfig(rates={"trunk": 0.1})),
    LoopConfig(optim=OptimConfig(schedule=ScheduleConfig(name="step"))),
    LoopConfig(optim=OptimConfig(schedule=ScheduleConfig(name="step", factor=0.5))),
]


def test_every_setting_that_is_not_at_its_default_is_in_the_identity() -> None:
    found = [repr(config.identity) for config in (DEFAULT, *OTHERS)]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"accumulate": 0}, r"loop\.accumulate is 0: use 1 or more"),
        ({"average": 1.0}, r"loop\.average is 1.0: use a share in \[0, 1\)"),
        (
            {"balanced_sampling": True, "loss": LossConfig(class_weights="balanced")},
            "balance classes twice: use one of them",
        ),
    ],
)
def test_a_wrong_setting_of_the_loop_is_named(settings: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        LoopConfig(**settings)


@pytest.mark.parametrize(
    ("setting", "value"), [("label_smoothing", 1.0), ("class_weights", "inverse")]
)
def test_a_wrong_setting_of_the_loss_is_named(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"loop\.loss\.{setting} is {value!r}: use "):
        LossConfig(**{setting: value})  # type: ignore[arg-type]
