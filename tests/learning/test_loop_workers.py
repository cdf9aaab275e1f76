"""Real processes that are warned, stopped, and go on in another number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from tests.learning.test_loop import PulledPlugError, stop_at
from tests.learning.test_options import ALL
from tests.learning.workers import in_workers
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card, Position
from videoproc.learning.config import LoopConfig, OptimConfig
from videoproc.learning.evaluate import score
from videoproc.learning.loop import Trainer
from videoproc.learning.samples import Sample
from videoproc.learning.world import World
from videoproc.tasks import select_task

CPU = torch.device("cpu")
NOTICE, PLUG = 6, 9  # 5 steps an epoch: both stand in the second one


@dataclass(kw_only=True)
class Part:
    """What one worker knows of a run that it took part in."""

    began: tuple[int, int, int]
    position: Position
    weights: dict[str, torch.Tensor]


def make_trainer(card: Card, samples: list[Sample], folder: Path, **options: object) -> Trainer:
    settings = {"epochs": 3, "batch_size": 8, "optim": OptimConfig(learning_rate=1e-2)}
    return Trainer(
        config=LoopConfig(**(settings | options)),  # type: ignore[arg-type]
        task=select_task(card.task),
        card=card,
        train=samples[:33],
        val=samples[33:],
        folder=folder,
        report=lambda *_: None,
        world=World.current(CPU),
    )


def until_the_plug_is_pulled(card: Card, samples: list[Sample], folder: Path) -> None:
    trainer = make_trainer(card, samples, folder)
    last = trainer.world.rank == trainer.world.size - 1
    # One of them alone has heard, and not the one that writes.
    trainer.is_leaving = lambda: last and trainer.position.step == NOTICE
    stop_at(trainer, PLUG)
    with pytest.raises(PulledPlugError):
        trainer.fit()


def to_the_end(card: Card, samples: list[Sample], folder: Path, **options: object) -> Part:
    trainer = make_trainer(card, samples, folder, **options)
    began = (trainer.position.epoch, trainer.position.batch, trainer.position.step)
    position = trainer.fit()
    weights = {name: w.clone() for name, w in trainer.model.state_dict().items()}
    return Part(began=began, position=position, weights=weights)


def two_workers(card: Card, samples: list[Sample], folder: Path) -> dict[str, Part]:
    """What they make undisturbed, and after a stop; and another stop, for others to go on."""
    until_the_plug_is_pulled(card, samples, folder / "for two")
    until_the_plug_is_pulled(card, samples, folder / "for three")
    return {
        "undisturbed": to_the_end(card, samples, folder / "undisturbed"),
        "2": to_the_end(card, samples, folder / "for two"),
    }


def one_of_two(card: Card, samples: list[Sample], folder: Path, average: float) -> Part:
    # Batches of 6 end in one of 3: the workers' parts differ to the last.
    return to_the_end(card, samples, folder, average=average, batch_size=6, epochs=1)


def three_workers(card: Card, samples: list[Sample], folder: Path) -> dict[str, Part]:
    """What they make of the run that two have left, and of one with every option."""
    return {
        "3": to_the_end(card, samples, folder / "for three"),
        "options": to_the_end(choosing(card), samples, folder / "options", **ALL),
    }


def choosing(card: Card) -> Card:
    """Of a network that takes two of a clip's three frames."""
    return replace(card, segments={"count": 2, "answers": 1})


@pytest.fixture(scope="module")
def resumed(
    samples: list[Sample],
    make_card: Callable[..., Card],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, list[Part]]:
    """By run, what each worker says; without dropout."""
    folder, card = tmp_path_factory.mktemp("resumed"), make_card()
    of_two = in_workers(two_workers, card, samples, folder, num_workers=2, folder=folder / "2")
    of_three = in_workers(three_workers, card, samples, folder, num_workers=3, folder=folder / "3")
    return {
        name: [parts[name] for parts in of_all]
        for of_all in (of_two, of_three)
        for name in of_all[0]
    }


@pytest.mark.parametrize("number", ["2", "3"])
def test_all_go_on_at_the_step_where_one_had_notice(
    resumed: dict[str, list[Part]], number: str
) -> None:
    # The step in which it heard is done, and it is the second of its epoch.
    assert {part.began for part in resumed[number]} == {(1, 2, NOTICE + 1)}


def test_as_many_workers_end_with_the_same_weights_and_metrics(
    resumed: dict[str, list[Part]],
) -> None:
    whole, again = resumed["undisturbed"][0], resumed["2"][0]
    torch.testing.assert_close(again.weights, whole.weights, rtol=0, atol=0)
    for ours, theirs in zip(again.position.history, whole.position.history, strict=True):
        assert ours["train/loss"] == theirs["train/loss"]
        assert ours["val/loss"] == theirs["val/loss"]


def test_another_number_of_workers_changes_nothing_but_rounding(
    resumed: dict[str, list[Part]],
) -> None:
    whole, other = resumed["undisturbed"][0], resumed["3"][0]
    assert other.position.step == whole.position.step
    for ours, theirs in zip(other.position.history, whole.position.history, strict=True):
        assert ours["train/loss"] == pytest.approx(theirs["train/loss"], abs=1e-4)
        assert ours["val/loss"] == pytest.approx(theirs["val/loss"], abs=1e-4)


def test_nor_does_it_with_every_option(
    resumed: dict[str, list[Part]],
    samples: list[Sample],
    make_card: Callable[..., Card],
    tmp_path: Path,
) -> None:
    alone = to_the_end(choosing(make_card()), samples, tmp_path, **ALL)
    many = resumed["options"][0]
    for ours, theirs in zip(many.position.history, alone.position.history, strict=True):
        for name in ("train/loss", "val/loss", "learning_rate"):
            assert ours[name] == pytest.approx(theirs[name], abs=1e-4)
    torch.testing.assert_close(many.weights, alone.weights, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_workers_validate_the_batch_statistics_that_the_checkpoint_has(
    samples: list[Sample], make_card: Callable[..., Card], tmp_path: Path, average: float
) -> None:
    card = make_card()
    card = replace(card, model_settings=card.model_settings | {"norm": "batch"})
    run = tmp_path / "run"
    parts = in_workers(
        one_of_two, card, samples, run, average, num_workers=2, folder=tmp_path / "workers"
    )
    model, card = checkpoint.load(checkpoint.best(run), device=CPU)
    task, world = select_task(card.task), World.current(CPU)
    _, losses = score(model, samples[33:], task=task, spec=card.spec, batch_size=6, world=world)
    assert [part.position.best_loss for part in parts] == [float(losses.mean())] * 2
