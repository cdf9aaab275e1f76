"""The workers of a training: what each takes, and where in the cluster there is room for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util import placement_group_table

from videoproc.runtime import session
from videoproc.runtime.placement import Placement
from videoproc.runtime.session import Node
from videoproc.types import UserError

Resources = Mapping[str, float]
"""Amounts by Ray's names: CPU, GPU, memory in bytes, custom ones."""


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """The workers of a training run.

    Args:
        workers: processes that train together, each on its part of every batch.
        min_workers: go on with as few as this while there is no room for all; by default none
            may be missing, and training waits for a node that takes the place of a lost one.
        cpus_per_worker: cores for each; by default the cores of the nodes are shared out.
        gpu: auto (one GPU a worker where the nodes have enough), true or false.
        max_failures: times that the workers are restarted from the last checkpoint.
        placement: which nodes they stand on, and what else each of them takes there.
    """

    workers: int = 1
    min_workers: int | None = None
    cpus_per_worker: int | None = None
    gpu: str = "auto"
    max_failures: int = 2
    placement: Placement = field(default_factory=Placement)

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}: use 1 or more")
        if self.min_workers is not None and not 1 <= self.min_workers <= self.workers:
            raise ValueError(
                f"min_workers is {self.min_workers}: use a number from 1 to workers "
                f"({self.workers}), or none"
            )
        if self.gpu not in ("auto", "true", "false"):
            raise ValueError(f"gpu is {self.gpu!r}: use auto, true or false")
        if self.cpus_per_worker is not None and self.cpus_per_worker < 1:
            raise ValueError(f"cpus_per_worker is {self.cpus_per_worker}: use 1 or more, or none")
        if self.max_failures < 0:
            raise ValueError(f"max_failures is {self.max_failures}: use 0 or more")

    @property
    def fewest(self) -> int:
        """Workers without which training waits."""
        return self.min_workers or self.workers


def needs_of_each(workers: WorkerConfig) -> Resources:
    """What each worker takes. UserError where the cluster is too small and does not grow."""
    nodes = session.nodes(workers.placement)
    use_gpu = workers.gpu == "true" or (
        workers.gpu == "auto" and sum(node.gpus for node in nodes) >= workers.fewest
    )
    others = _beside_cores(workers, use_gpu=use_gpu)
    has = [node.resources for node in nodes]
    cpus = workers.cpus_per_worker or fair_share(has, others, workers=workers.workers)
    needs: Resources = {"CPU": cpus, **others}
    may_come = session.grows() and (not has or places(has, needs) > 0)
    if places(has, needs) < workers.fewest and not may_come:
        raise UserError(
            f"{_wanted(workers, needs)}: ask for fewer workers, for less for each, or for a "
            "larger cluster"
        )
    # Ray counts the workers that may go on by the resources of all nodes, whatever their labels.
    elsewhere = [n.resources for n in session.nodes() if not workers.placement.admits(n.labels)]
    if workers.min_workers is not None and places(elsewhere, needs):
        raise UserError(
            f"min_workers is {workers.min_workers}, and nodes without the labels "
            f"{workers.placement.labels} have room for workers too: name in placement.resources "
            "something that only the nodes to train on have"
        )
    return needs


def awaited(workers: WorkerConfig, needs: Resources) -> str | None:
    """What training waits for, of which each worker `needs` some; None while it waits for nothing
    but the start of processes."""
    has = [node.resources for node in session.nodes(workers.placement)]
    if places(has, needs) < workers.fewest:
        return f"waits for nodes: {_wanted(workers, needs)}"
    if _is_pending(needs):
        return (
            f"waits for room: {workers.workers} worker(s) take {session.said(needs)} each, and "
            f"{session.said(_free(needs))} is free in the cluster"
        )
    return None


def places(nodes: Sequence[Resources], needs: Resources) -> int:
    """How many workers with such needs the nodes hold; a worker stands on one node."""
    return sum(
        min(int(node.get(name, 0) // amount) for name, amount in needs.items()) for node in nodes
    )


def fair_share(nodes: Sequence[Resources], others: Resources, *, workers: int) -> int:
    """The most cores that each of so many workers can have beside its other needs; 1 where there
    are too few, or no nodes yet."""
    most = max((int(node.get("CPU", 0)) for node in nodes), default=0)
    fitting = (
        each for each in range(most, 0, -1) if places(nodes, {"CPU": each, **others}) >= workers
    )
    return next(fitting, 1)


def _beside_cores(workers: WorkerConfig, *, use_gpu: bool) -> dict[str, float]:
    needs: dict[str, float] = {"GPU": 1} if use_gpu else {}
    if workers.placement.memory_bytes is not None:
        needs["memory"] = workers.placement.memory_bytes
    return {**needs, **workers.placement.resources}


def _wanted(workers: WorkerConfig, needs: Resources) -> str:
    labels = workers.placement.labels
    nodes: Sequence[Node] = session.nodes(workers.placement)
    fewest = "" if workers.min_workers is None else f" and min_workers {workers.min_workers}"
    return (
        f"workers is {workers.workers}{fewest} with {session.said(needs)} each, and the "
        f"{len(nodes)} node(s){f' with labels {labels}' if labels else ''} have room for "
        f"{places([node.resources for node in nodes], needs)}"
    )


def _free(needs: Resources) -> Resources:
    free = ray.available_resources()
    return {name: free.get(name, 0) for name in needs}


def _is_pending(needs: Resources) -> bool:
    """Whether workers with such needs stand in Ray's queue."""
    groups: Mapping[str, Mapping[str, Any]] = placement_group_table()
    return any(
        group["state"] == "PENDING" and all(dict(b) == needs for b in group["bundles"].values())
        for group in groups.values()
    )
