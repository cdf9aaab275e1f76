"""Training and evaluation by 1, 2 and 3 real processes come to the same."""

from __future__ import annotations

import types
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.learning.workers import in_workers
from videoproc.augment import StepAugmentation
from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LoopConfig, OptimConfig
from videoproc.learning.evaluate import score
from videoproc.learning.loader import GlobalBatch
from videoproc.learning.loop import Trainer
from videoproc.learning.samples import Sample
from videoproc.learning.world import World
from videoproc.tasks import Scores, Task, select_task

CPU = torch.device("cpu")
EPOCHS, BATCH_SIZE = 4, 8
SIZES = (33, 40)  # 33: the last of 5 batches has one clip, too few for 2 or 3 workers
AUGMENTED = 34  # clips of the training that augments and mixes
AUGMENTATION = StepAugmentation(
    flip_horizontal=True, min_crop_area=0.5, jitter=0.3, mixup=0.5, cutmix=1.0
)


@dataclass(kw_only=True)
class Trained:
    """What one worker has seen of a training."""

    losses: list[float]
    seen: list[list[int]]  # by epoch: positions of the clips that counted
    weights: dict[str, torch.Tensor]
    history: list[dict[str, float]]


@dataclass(kw_only=True)
class Work:
    """What one worker has to tell."""

    summed: float
    gathered: list[str]
    trained: dict[int, Trained]
    scored: dict[int, tuple[Scores, np.ndarray]]


def work(card: Card, samples: list[Sample], folder: Path) -> Work:
    world = World.current(CPU)
    task = numbered_task(samples)
    torch.manual_seed(0)
    model = card.build()
    return Work(
        summed=world.sum(world.rank + 1.0),
        gathered=world.gather(f"of rank {world.rank}"),
        trained={n: train(n, card, samples, folder, world, task) for n in (*SIZES, AUGMENTED)},
        scored={
            num: score(model, samples[:num], task=task, spec=card.spec, batch_size=4, world=world)
            for num in (1, 4, 9, 53)
        },
    )


def numbered_task(samples: list[Sample]) -> Task:
    """Classification whose batches also say which samples they hold."""
    task = select_task("classification")
    position = {sample.row["clip_id"]: i for i, sample in enumerate(samples)}

    def make_batch(rows: Any, spec: Any) -> dict[str, np.ndarray]:
        numbers = np.array([position[row["clip_id"]] for row in rows])
        return task.targets.make_batch(rows, spec) | {"number": numbers}

    targets: Any = types.SimpleNamespace(**vars(task.targets) | {"make_batch": make_batch})
    return replace(task, targets=targets)


def train(
    num: int, card: Card, samples: list[Sample], folder: Path, world: World, task: Task
) -> Trained:
    trained = Trained(losses=[], seen=[[] for _ in range(EPOCHS)], weights={}, history=[])

    class Recorded(Trainer):
        def step(self, batch: GlobalBatch) -> float:
            own = batch.arrays["number"][: len(batch.weight_b)]  # partners stand behind
            counted = own[batch.weight_b > 0].tolist()
            trained.seen[self.position.epoch] += counted
            loss_sum = super().step(batch)
            trained.losses.append(loss_sum / batch.global_size)
            return loss_sum

    trainer = Recorded(
        config=LoopConfig(
            epochs=EPOCHS,
            batch_size=BATCH_SIZE,
            optim=OptimConfig(learning_rate=1e-2),
            augmentation=AUGMENTATION if num == AUGMENTED else StepAugmentation(),
        ),
        task=task,
        card=card,
        train=samples[:num],
        val=samples[40:],
        folder=folder / str(num),
        report=lambda *_: None,
        world=world,
    )
    trained.history = trainer.fit().history
    trained.weights = {name: w.clone() for name, w in trainer.model.state_dict().items()}
    return trained


@pytest.fixture(scope="module")
def by_workers(
    samples: list[Sample],
    make_card: Callable[..., Card],
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[int, list[Work]]:
    card = make_card()
    folder = tmp_path_factory.mktemp("workers")
    return {
        num: in_workers(
            work, card, samples, folder / f"runs-{num}", num_workers=num, folder=folder / str(num)
        )
        for num in (1, 2, 3)
    }


several = pytest.mark.parametrize("num_workers", [2, 3])
each_size = pytest.mark.parametrize("size", [*SIZES, AUGMENTED])


@several
@each_size
def test_any_number_of_workers_gives_the_losses_of_one(
    by_workers: dict[int, list[Work]], num_workers: int, size: int
) -> None:
    alone = by_workers[1][0].trained[size].losses
    assert len(alone) == 20
    for worker in by_workers[num_workers]:
        assert worker.trained[size].losses == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_the_losses_that_are_compared_fall(by_workers: dict[int, list[Work]], size: int) -> None:
    history = by_workers[1][0].trained[size].history
    assert history[-1]["train/loss"] < 0.9 * history[0]["train/loss"]


@pytest.mark.parametrize("num_workers", [1, 2, 3])
@each_size
def test_every_clip_is_seen_exactly_once_an_epoch_by_one_of_the_workers(
    by_workers: dict[int, list[Work]], num_workers: int, size: int
) -> None:
    for epoch in range(EPOCHS):
        parts = [worker.trained[size].seen[epoch] for worker in by_workers[num_workers]]
        assert sorted(clip for part in parts for clip in part) == list(range(size))


@several
@each_size
def test_all_workers_end_with_the_same_weights(
    by_workers: dict[int, list[Work]], num_workers: int, size: int
) -> None:
    first, *others = [worker.trained[size].weights for worker in by_workers[num_workers]]
    for other in others:
        torch.testing.assert_close(other, first, rtol=0, atol=0)


@several
@pytest.mark.parametrize("num", [1, 4, 9, 53])
def test_evaluation_by_any_number_of_workers_is_equal_exactly(
    by_workers: dict[int, list[Work]], num_workers: int, num: int
) -> None:
    scores, losses = by_workers[1][0].scored[num]
    assert len(losses) == num
    for worker in by_workers[num_workers]:
        found, found_losses = worker.scored[num]
        assert found.keys() == scores.keys()
        assert all(np.array_equal(found[name], scores[name]) for name in scores)
        assert np.array_equal(found_losses, losses)


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_every_worker_has_the_sum_and_everyones_value(
    by_workers: dict[int, list[Work]], num_workers: int
) -> None:
    for worker in by_workers[num_workers]:
        assert worker.summed == sum(range(1, num_workers + 1))
        assert worker.gathered == [f"of rank {rank}" for rank in range(num_workers)]
