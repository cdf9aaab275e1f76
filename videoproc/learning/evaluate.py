"""Evaluation: every sample once, whatever the number of workers, and intervals by source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
import torch
from torch import nn

from videoproc.learning.loader import batches
from videoproc.learning.samples import Sample
from videoproc.learning.world import World
from videoproc.tasks import Scores, Spec, Task

RESAMPLINGS = 1000
CONFIDENCE = 0.95
Statistic = TypeVar("Statistic", float, np.ndarray)
LOSS = "loss of a sample"  # beside the task's own scores, under a name that no task uses


@torch.inference_mode()
def score(
    model: nn.Module,
    samples: Sequence[Sample],
    *,
    task: Task,
    spec: Spec,
    batch_size: int,
    world: World,
) -> tuple[Scores, np.ndarray]:
    """The scores of every sample once and their losses (N,), in the order of `samples`.

    Worker r takes whole batches r, r + N, ...: a forward pass holds the same samples whatever the
    number of workers N, so that on one kind of device not even rounding differs. The model must
    not be wrapped for gradient exchange: workers may have different numbers of batches.
    """
    model.eval()
    order = _order(len(samples), batch_size=batch_size, world=world)
    parts: list[dict[str, np.ndarray]] = []
    for batch in batches(
        samples,
        make_batch=lambda rows: task.targets.make_batch(rows, spec),
        order=order,
        batch_size=batch_size,
        device=world.device,
    ):
        outputs = task.loss.forward(model, batch.arrays)
        values = task.metrics.scores(outputs, batch.arrays)
        values |= {LOSS: task.loss.loss_b(outputs, batch.arrays)}
        parts.append({name: value.cpu().numpy() for name, value in values.items()})
    scores = _in_order(world.gather((order, parts)), num_samples=len(samples))
    return scores, scores.pop(LOSS).astype(np.float64)


def _order(num_samples: int, *, batch_size: int, world: World) -> np.ndarray:
    # 0 1 2 3 4, batch_size 2, 2 workers: rank 0 has 0 1, 4 and rank 1 has 2 3.
    all_samples = np.arange(num_samples)
    return all_samples[all_samples // batch_size % world.size == world.rank]


def _in_order(
    by_rank: Sequence[tuple[np.ndarray, Sequence[dict[str, np.ndarray]]]], *, num_samples: int
) -> dict[str, np.ndarray]:
    where = np.concatenate([order for order, _ in by_rank])
    parts = [part for _, of_rank in by_rank for part in of_rank]
    assert np.array_equal(np.sort(where), np.arange(num_samples)), "a sample is not there once"
    back = np.argsort(where)
    return {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}


def interval(
    statistic: Callable[[np.ndarray], float], *, groups: Sequence[str | None], seed: int = 0
) -> tuple[float, float] | None:
    """The 95 % percentile interval of `statistic(indices)`, resampled by group (Efron 1979).

    Samples of one source stand or fall together, so whole groups are drawn with replacement; a
    sample without a group is a group of its own. One group alone says nothing of others: None.
    """
    drawn = _resampled(groups, seed=seed)
    if drawn is None:
        return None
    low, high = _percentiles([statistic(indices) for indices in drawn])
    return float(low), float(high)


def paired_interval(
    statistic_a: Callable[[np.ndarray], Statistic],
    statistic_b: Callable[[np.ndarray], Statistic],
    *,
    groups: Sequence[str | None],
    seed: int = 0,
) -> tuple[Statistic, Statistic] | None:
    """The 95 % interval of `statistic_b(indices) - statistic_a(indices)`, by group as `interval`.

    Both are taken of the same samples each time, so what is easy or hard for both falls out. The
    statistics may be numbers or arrays of several: (low, high) have their shape.
    """
    drawn = _resampled(groups, seed=seed)
    if drawn is None:
        return None
    low, high = _percentiles([statistic_b(indices) - statistic_a(indices) for indices in drawn])
    return low, high


def members(names: Sequence[str]) -> dict[str, np.ndarray]:
    """The indices that stand under each name, names in alphabetical order."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        found.setdefault(name, []).append(index)
    return {name: np.array(found[name]) for name in sorted(found)}


def _resampled(groups: Sequence[str | None], *, seed: int) -> Iterator[np.ndarray] | None:
    """The indices of each resampling; None where there is one group only."""
    names = [f"alone {i}" if g is None else f"group {g}" for i, g in enumerate(groups)]
    of_group = list(members(names).values())
    if len(of_group) < 2:
        return None
    rng = np.random.default_rng(seed)
    return (
        np.concatenate([of_group[i] for i in rng.integers(0, len(of_group), len(of_group))])
        for _ in range(RESAMPLINGS)
    )


def _percentiles(values: Sequence[float | np.ndarray]) -> np.ndarray:
    tail = (1 - CONFIDENCE) / 2
    return np.quantile(np.array(values), [tail, 1 - tail], axis=0)
