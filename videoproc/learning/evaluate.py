"""Evaluation: every sample once, whatever the number of workers, and intervals by source."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import nn

from videoproc.learning.loader import batches, epoch_order
from videoproc.learning.samples import Sample
from videoproc.learning.world import World
from videoproc.tasks import Scores, Spec, Task

RESAMPLINGS = 1000
CONFIDENCE = 0.95


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

    The model must not be wrapped for gradient exchange: parts may differ in length.
    """
    model.eval()
    order = epoch_order(len(samples), seed=0, epoch=0, shuffle=False)
    names: list[str] = []
    gathered: list[tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]] = []
    for batch in batches(
        samples,
        make_batch=lambda rows: task.targets.make_batch(rows, spec),
        order=order,
        batch_size=batch_size * world.size,
        rank=world.rank,
        num_workers=world.size,
        device=world.device,
    ):
        outputs = task.loss.forward(model, batch.arrays)
        values = task.metrics.scores(outputs, batch.arrays)
        counted = (batch.weight_b > 0).cpu().numpy()
        names = list(values)
        gathered.append(
            (
                counted,
                {name: value.cpu().numpy() for name, value in values.items()},
                task.loss.loss_b(outputs, batch.arrays).cpu().numpy(),
            )
        )
    return _in_order(world.gather(gathered), names, num_samples=len(samples))


def _in_order(
    by_rank: Sequence[Sequence[tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]]],
    names: Sequence[str],
    *,
    num_samples: int,
) -> tuple[Scores, np.ndarray]:
    rows: list[tuple[dict[str, np.ndarray], float]] = []
    for of_all_ranks in zip(*by_rank, strict=True):
        # Rank r holds samples r, r + N, ... of the batch: take them in turns.
        parts = [
            [
                ({name: values[name][i] for name in names}, float(losses[i]))
                for i in np.flatnonzero(counted)
            ]
            for counted, values, losses in of_all_ranks
        ]
        for turn in range(max(map(len, parts))):
            rows += [part[turn] for part in parts if turn < len(part)]
    assert len(rows) == num_samples, f"{len(rows)} scores of {num_samples} samples"
    scores = {name: np.stack([row[name] for row, _ in rows]) for name in names}
    return scores, np.array([loss for _, loss in rows])


def interval(
    statistic: Callable[[np.ndarray], float], *, groups: Sequence[str | None], seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of `statistic(indices)`, resampled by group (Efron 1979).

    Samples of one source stand or fall together, so whole groups are drawn with replacement; a
    sample without a group is a group of its own. Errors: none; one group gives a point.
    """
    members: dict[str, list[int]] = {}
    for index, group in enumerate(groups):
        members.setdefault(f"alone {index}" if group is None else f"group {group}", []).append(
            index
        )
    of_group = [np.array(indices) for _, indices in sorted(members.items())]
    rng = np.random.default_rng(seed)
    values = [
        statistic(
            np.concatenate([of_group[i] for i in rng.integers(0, len(of_group), len(of_group))])
        )
        for _ in range(RESAMPLINGS)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)
