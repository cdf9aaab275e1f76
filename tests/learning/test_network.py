"""A network as a learner: it chooses on the val side, answers for the test side, and goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position
from videoproc.learning.config import LoopConfig, OptimConfig, SegmentConfig
from videoproc.learning.evaluate import score
from videoproc.learning.learner import Part
from videoproc.learning.loop import Trainer
from videoproc.learning.network import Candidate, NetworkLearner, best_of, changed
from videoproc.learning.world import World
from videoproc.tasks import select_task
from videoproc.types import UserError

TASK = select_task("classification")


@pytest.fixture
def part(samples) -> Part:
    return Part(train=samples[:33], val=samples[33:43], test=samples[43:])


@pytest.fixture
def make_learner(recipe) -> Callable[..., NetworkLearner]:
    def make(*, dropout: float = 0.0, candidates: tuple = (), **loop: object) -> NetworkLearner:
        settings = {"epochs": 2, "batch_size": 8, "optim": OptimConfig(learning_rate=1e-2)}
        return NetworkLearner(
            task="classification",
            model="cnn",
            model_settings={"channels": [4, 8], "dropout": dropout},
            loop=LoopConfig(**(settings | loop)),  # type: ignore[arg-type]
            frame_shape=(3, 8, 8, 3),
            recipe=recipe.to_json(),
            candidates=candidates,
        )

    return make


def test_it_answers_for_each_test_sample_with_the_epoch_that_was_best_on_val(
    part: Part, make_learner, tmp_path: Path
) -> None:
    found = make_learner(epochs=6).learn(part, seed=0, folder=tmp_path)
    history = found.history
    best = max(range(6), key=lambda e: (history[e]["val/accuracy"], -history[e]["val/loss"]))
    assert found.settings["epoch"] == best
    assert found.settings["val/accuracy"] == history[best]["val/accuracy"]
    model, card = checkpoint.load(checkpoint.best(tmp_path), device=torch.device("cpu"))
    scores, losses = score(
        model, part.test, task=TASK, spec=card.spec, batch_size=8, world=World.current()
    )
    np.testing.assert_array_equal(found.scores["probabilities"], scores["probabilities"])
    np.testing.assert_array_equal(found.losses, losses)
    assert found.spec == {"classes": ["bright", "dark", "medium"]}
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert TASK.metrics.summarise(found.scores, found.spec)["accuracy"] > 0.5


def test_without_a_val_side_the_last_epoch_answers(part: Part, make_learner, tmp_path) -> None:
    alone = replace(part, val=())
    found = make_learner(epochs=3).learn(alone, seed=0, folder=tmp_path)
    assert found.settings == {"epoch": 2}
    assert not any(name.startswith("val/") for epoch in found.history for name in epoch)
    assert checkpoint.best(tmp_path).name == "step-00000015"


def test_of_clips_that_are_longer_than_the_network_takes_it_chooses(
    part: Part, make_learner, tmp_path
) -> None:
    learner = make_learner(epochs=4, segments=SegmentConfig(count=2, answers=2))
    found = learner.learn(part, seed=0, folder=tmp_path)
    model, card = checkpoint.load(checkpoint.best(tmp_path), device=torch.device("cpu"))
    assert card.frame_shape == [3, 8, 8, 3]
    assert card.taken_shape == (2, 8, 8, 3)
    frames = torch.randint(0, 256, (1, 3, 8, 8, 3), dtype=torch.uint8)
    network = model.network
    both = torch.stack([network(frames[:, [0, 1]]), network(frames[:, [1, 2]])]).mean(dim=0)
    with torch.inference_mode():
        torch.testing.assert_close(model(frames), both)
    assert TASK.metrics.summarise(found.scores, found.spec)["accuracy"] > 0.5


def test_the_seed_decides(part: Part, make_learner, tmp_path: Path) -> None:
    losses = [
        make_learner(dropout=0.5).learn(part, seed=seed, folder=tmp_path / name).losses
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    np.testing.assert_array_equal(losses[0], losses[1])
    assert not np.array_equal(losses[0], losses[2])


class PulledPlugError(Exception):
    pass


def test_what_was_cut_off_is_gone_on_with_to_the_byte(
    part: Part, make_learner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidates = (Candidate(), Candidate(loop={"optim": {"learning_rate": 0.003}}))
    learner = make_learner(dropout=0.5, candidates=candidates, checkpoint_every_steps=2)
    whole = learner.learn(part, seed=0, folder=tmp_path / "whole")
    real_step, taken = Trainer.step, []

    def step(self: Trainer, batch: object) -> float:
        if len(taken) == 16:  # in the second candidate, whose epochs have 5
            raise PulledPlugError
        taken.append(1)
        return real_step(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(Trainer, "step", step)
    with pytest.raises(PulledPlugError):
        learner.learn(part, seed=0, folder=tmp_path / "cut")
    monkeypatch.setattr(Trainer, "step", real_step)
    resumed = learner.learn(part, seed=0, folder=tmp_path / "cut")
    np.testing.assert_array_equal(resumed.losses, whole.losses)
    assert resumed.settings == whole.settings


def test_of_candidates_the_one_that_is_best_on_val_answers(
    part: Part, make_learner, tmp_path: Path
) -> None:
    hopeless = Candidate(loop={"optim": {"learning_rate": 1e-9}})
    wide = Candidate(model_settings={"channels": [8, 8]}, loop={"epochs": 8})
    found = make_learner(candidates=(hopeless, wide)).learn(part, seed=0, folder=tmp_path)
    alone = make_learner(candidates=(wide,)).learn(part, seed=0, folder=tmp_path / "alone")
    assert found.settings["candidate"] == 1
    assert found.settings["model_settings"] == {"channels": [8, 8]}
    assert found.settings["candidates_val"][1] == found.settings["val/accuracy"]
    assert len(found.history) == 8
    np.testing.assert_array_equal(found.losses, alone.losses)


def test_of_candidates_with_equal_metrics_the_lower_loss_is_taken_and_then_the_first() -> None:
    def at(value: float, loss: float) -> Position:
        return Position(best_value=value, best_loss=loss)

    assert best_of([at(0.5, 0.9), at(0.7, 0.8), at(0.7, 0.6), at(0.7, 0.6)], maximise=True) == 2
    assert best_of([at(0.5, 0.9), at(0.7, 0.1)], maximise=False) == 0
    assert best_of([at(0.9, float("nan")), at(0.1, 2.0)], maximise=True) == 1


def test_overrides_reach_nested_settings_and_unknown_ones_are_named() -> None:
    loop = changed(LoopConfig(), {"optim": {"clip_norm": 2.0}, "epochs": 3}, where="loop")
    assert loop == LoopConfig(epochs=3, optim=OptimConfig(clip_norm=2.0))
    with pytest.raises(UserError, match=r"loop.optim has 'momenta': there are .*learning_rate"):
        changed(LoopConfig(), {"optim": {"momenta": 2.0}}, where="loop")
    with pytest.raises(UserError, match=r"loop: loop.epochs is 0: use 1 or more"):
        changed(LoopConfig(), {"epochs": 0}, where="loop")
