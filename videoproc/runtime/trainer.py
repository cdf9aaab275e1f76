"""Data-parallel training by Ray Train: workers train, the driver takes their metrics."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray.train
import ray.train.torch
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.util.queue import Empty, Queue

from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LoopConfig
from videoproc.learning.loop import Report, Trainer
from videoproc.learning.samples import Sample
from videoproc.learning.world import World
from videoproc.runtime import session
from videoproc.runtime.rendezvous import AtOwnAddress
from videoproc.storage import Anywhere
from videoproc.tasks import select_task
from videoproc.types import UserError

POLL_S = 0.5


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """The workers of a training run.

    Args:
        workers: processes that train together, each on its part of every batch.
        cpus_per_worker: cores for each; by default the cluster's cores are shared out.
        gpu: auto (one GPU a worker where the cluster has enough), true or false.
        max_failures: times that the workers are restarted from the last checkpoint.
    """

    workers: int = 1
    cpus_per_worker: int | None = None
    gpu: str = "auto"
    max_failures: int = 2

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError(f"workers is {self.workers}: use 1 or more")
        if self.gpu not in ("auto", "true", "false"):
            raise ValueError(f"gpu is {self.gpu!r}: use auto, true or false")
        if self.cpus_per_worker is not None and self.cpus_per_worker < 1:
            raise ValueError(f"cpus_per_worker is {self.cpus_per_worker}: use 1 or more, or none")
        if self.max_failures < 0:
            raise ValueError(f"max_failures is {self.max_failures}: use 0 or more")


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a worker is given."""

    loop: LoopConfig
    card: Card
    train: Sequence[Sample]
    val: Sequence[Sample]
    folder: Anywhere


def fit(assignment: Assignment, *, workers: WorkerConfig, scratch: Path, on_report: Report) -> None:
    """Train to the end, restarting lost workers; `on_report` gets the metrics of each epoch.

    scratch: a folder for Ray Train's own state. Errors: UserError where the cluster is too small;
    what the workers raise.
    """
    scaling = _scaling(workers)
    metrics: Queue = Queue(actor_options={"num_cpus": 0})
    trainer = TorchTrainer(
        _train_worker,
        train_loop_config={"assignment": assignment, "metrics": metrics},
        torch_config=AtOwnAddress(),
        scaling_config=scaling,
        run_config=RunConfig(
            name=assignment.folder.name,
            storage_path=str(scratch),
            failure_config=FailureConfig(max_failures=workers.max_failures),
        ),
    )
    with _Drained(metrics, on_report):
        trainer.fit()


def _train_worker(config: dict[str, Any]) -> None:
    assignment: Assignment = config["assignment"]
    metrics: Queue = config["metrics"]
    device = ray.train.torch.get_device()
    if device.type == "cpu":
        torch.set_num_threads(_own_cpus())
    Trainer(
        config=assignment.loop,
        task=select_task(assignment.card.task),
        card=assignment.card,
        train=assignment.train,
        val=assignment.val,
        folder=assignment.folder,
        report=lambda values, epoch: metrics.put((values, epoch)),
        world=World.current(device),
    ).fit()


def _own_cpus() -> int:
    return max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))


def _scaling(workers: WorkerConfig) -> ScalingConfig:
    nodes, gpus = [node.cpus for node in session.nodes()], session.num_gpus()
    each = workers.cpus_per_worker or fair_share(nodes, workers=workers.workers)
    if places(nodes, each) < workers.workers:
        raise UserError(
            f"workers is {workers.workers} with {each} cores each, the cluster's nodes have "
            f"{nodes} cores: ask for fewer workers or cores, or for a larger cluster"
        )
    use_gpu = gpus >= workers.workers if workers.gpu == "auto" else workers.gpu == "true"
    if use_gpu and gpus < workers.workers:
        raise UserError(
            f"gpu is true for {workers.workers} workers, the cluster has {gpus} GPUs: "
            "ask for fewer workers, or set gpu to false"
        )
    return ScalingConfig(
        num_workers=workers.workers,
        use_gpu=use_gpu,
        resources_per_worker={"CPU": each} | ({"GPU": 1} if use_gpu else {}),
    )


def places(nodes: Sequence[int], each: int) -> int:
    """How many workers of `each` cores the nodes hold; a worker stands on one node."""
    return sum(cores // each for cores in nodes)


def fair_share(nodes: Sequence[int], *, workers: int) -> int:
    """The most cores that each of so many workers can have; 1 where there are too few."""
    fitting = (each for each in range(max(nodes), 0, -1) if places(nodes, each) >= workers)
    return next(fitting, 1)


class _Drained:
    """Hands on what arrives in a queue until the `with` ends, then what is left in it.

    What `on_report` raises is raised at the end of the `with`: the workers need not stop for it.
    """

    def __init__(self, metrics: Queue, on_report: Report) -> None:
        self._metrics, self._on_report = metrics, on_report
        self._stopped = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="metrics")

    def __enter__(self) -> None:
        self._drained: Future[None] = self._thread.submit(self._drain)

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        self._stopped.set()
        self._thread.shutdown()
        self._metrics.shutdown()
        if error_type is None:  # the workers' own error says more
            self._drained.result()

    def _drain(self) -> None:
        while True:
            last_look = self._stopped.is_set()
            try:
                while True:
                    self._on_report(*self._metrics.get(timeout=POLL_S))
            except (Empty, queue.Empty):
                if last_look:
                    return
