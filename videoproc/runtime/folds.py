"""Parts that are learned from side by side, each in a Ray task of its own.

A task whose process or node dies is started again, and goes on from what lies in its folder. The
samples are put into Ray's object store once; what was told comes back through it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ray
import torch
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayTaskError,
    WorkerCrashedError,
)

from videoproc.learning import told as stored
from videoproc.learning.learner import Learner, Part, Told
from videoproc.learning.samples import Sample
from videoproc.runtime import session
from videoproc.runtime.placement import Placement
from videoproc.runtime.shared_folder import check_all_see, check_seen, forget, held
from videoproc.storage import Anywhere
from videoproc.types import UserError

LOST = (WorkerCrashedError, NodeDiedError, OutOfMemoryError, LocalRayletDiedError)

FOLD_MEMORY_BYTES = 1_500_000_000
"""Of a process that trains a small network on small clips: the libraries are most of it."""


class FoldLostError(RuntimeError):
    """A fold's process was lost more often than config allows: the message says so in one line."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """One part to learn from, as the indices of its samples, and the folder of its state."""

    train: Sequence[int]
    val: Sequence[int]
    test: Sequence[int]
    seed: int
    folder: Anywhere


@dataclass(frozen=True, kw_only=True)
class FoldWorkers:
    """What each part that is learned from takes.

    cpus: cores; None shares those that there are out among all parts. gpus: of one, or several;
    None shares out those that there are, at most one each. max_failures: times that a part is
    begun again where its process or node was lost. inline: one after the other in this process.
    """

    cpus: int | None = None
    gpus: float | None = None
    max_failures: int = 2
    placement: Placement = field(default_factory=Placement)
    inline: bool = False

    def __post_init__(self) -> None:
        if self.cpus is not None and self.cpus < 1:
            raise ValueError(f"cpus_per_fold is {self.cpus}: use 1 or more, or none")
        if self.gpus is not None and self.gpus < 0:
            raise ValueError(f"gpus_per_fold is {self.gpus}: use 0 or more, or none")
        if self.max_failures < 0:
            raise ValueError(f"max_failures is {self.max_failures}: use 0 or more")


def learn_all(
    work: Sequence[Work],
    *,
    folder: Anywhere,
    learner: Learner,
    samples: Sequence[Sample],
    workers: FoldWorkers,
    parts: int,
    cores_here: int,
    say: Callable[[str], None],
) -> Iterator[tuple[int, Told]]:
    """The number of each piece of work, with what was told, as they finish.

    folder: holds those of all work. parts: those that there are in all, with what was done before:
    the cores are shared out by it, so that a part that is learned from later has as many.
    cores_here: of this machine, for `inline`. Errors: UserError of a learner, and where a node
    does not see the folder; FoldLostError; what else a learner raises.
    """
    if workers.inline:
        return _inline(work, learner, samples, workers.cpus or fair_cpus(cores_here, parts=parts))
    return _parallel(work, folder, learner, samples, workers, parts, say)


def fair_cpus(cores: int, *, parts: int) -> int:
    """The cores of each part: as few as keep all cores busy while there are parts."""
    return max(1, cores // parts)


def _inline(
    work: Sequence[Work], learner: Learner, samples: Sequence[Sample], cpus: int
) -> Iterator[tuple[int, Told]]:
    before = torch.get_num_threads()
    try:
        for number, piece in enumerate(work):
            torch.set_num_threads(cpus)
            yield number, _learn(learner, samples, piece)
    finally:
        torch.set_num_threads(before)


def _parallel(
    work: Sequence[Work],
    folder: Anywhere,
    learner: Learner,
    samples: Sequence[Sample],
    workers: FoldWorkers,
    parts: int,
    say: Callable[[str], None],
) -> Iterator[tuple[int, Told]]:
    needs = needs_of_each(workers, parts=parts)
    if waited := session.require_fit(workers.placement, needs, what="each fold"):
        say(waited)
    check_all_see(folder, workers.placement)
    shared: Any = ray.put((learner, samples))
    task = ray.remote(_task).options(
        num_cpus=needs["CPU"],
        num_gpus=needs.get("GPU", 0),
        memory=needs["memory"],
        resources=workers.placement.resources or None,
        label_selector=workers.placement.labels or None,
        max_retries=workers.max_failures,
    )
    running = {
        task.remote(shared, piece, folder, needs): number for number, piece in enumerate(work)
    }
    try:
        while running:
            (done,), _ = ray.wait(list(running), num_returns=1)
            yield running.pop(done), _result(done, workers)
    finally:
        for left in running:
            ray.cancel(left, force=True)
        forget(folder)


def needs_of_each(workers: FoldWorkers, *, parts: int) -> dict[str, float]:
    """What each part takes, by Ray's names."""
    placement = workers.placement
    gpus = workers.gpus
    cores = max(1, session.cores_now(placement))
    if gpus is None:  # Ray counts in steps of 1e-4, and rounds
        share = session.num_gpus(placement) / min(parts, cores)
        gpus = min(1.0, math.floor(share * 1e4) / 1e4)
    cpus = workers.cpus or min(
        fair_cpus(cores, parts=parts),
        max((node.cpus for node in session.nodes(placement)), default=1),
    )
    needs = placement.needs(gpus=gpus, memory_bytes=FOLD_MEMORY_BYTES)
    return needs | {"CPU": float(max(1, cpus))}


def _task(
    shared: tuple[Learner, Sequence[Sample]],
    piece: Work,
    folder: Anywhere,
    needs: Mapping[str, float],
) -> Told:
    check_seen(folder)
    # What a killed driver has left at work lives on for some seconds, and would write here too.
    alone = held(piece.folder, wait=True) if isinstance(piece.folder, Path) else nullcontext()
    if not needs.get("GPU"):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # Ray hides none from who asks for none
    torch.set_num_threads(int(needs["CPU"]))
    with alone:
        return _learn(*shared, piece)


def _learn(learner: Learner, samples: Sequence[Sample], piece: Work) -> Told:
    part = Part(
        train=[samples[index] for index in piece.train],
        val=[samples[index] for index in piece.val],
        test=[samples[index] for index in piece.test],
    )
    return stored.learn_once(learner, part, seed=piece.seed, folder=piece.folder)


def _result(done: Any, workers: FoldWorkers) -> Told:
    try:
        told: Told = ray.get(done)
    except LOST as error:
        raise FoldLostError(
            f"a fold's process was lost more than max_failures ({workers.max_failures}) times, at "
            f"last by {type(error).__name__}: see to the machines, and run it again to go on"
        ) from None
    except RayTaskError as error:
        if isinstance(error.cause, UserError):
            raise error.cause from None
        raise
    return told
