"""Data-parallel training by Ray Train: workers train, the driver hears how they do.

The driver's node also has Ray Train's controller and the queue of what is heard: training outlives
every other node. Where the driver is gone, its run is resumed from the last checkpoint.
"""

from __future__ import annotations

import os
import queue
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import ray
import ray.train
import ray.train.torch
import torch
from ray.exceptions import RayActorError
from ray.train import (
    ControllerError,
    FailureConfig,
    RunConfig,
    ScalingConfig,
    WorkerGroupError,
)
from ray.train.v2._internal.exceptions import (
    WorkerHealthCheckFailedError,
)
from ray.train.v2._internal.execution.context import get_train_context
from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer
from ray.util.queue import Empty, Queue

from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LoopConfig
from videoproc.learning.loop import Report, Trainer
from videoproc.learning.samples import Sample
from videoproc.learning.world import World
from videoproc.runtime.failures import OnFailure, first_line
from videoproc.runtime.news import Epoch, News, Notice, Started, Stopped
from videoproc.runtime.rendezvous import AtOwnAddress
from videoproc.runtime.shared_folder import NODE_ID, check_all_see, check_seen, forget
from videoproc.runtime.workers import Resources, WorkerConfig, awaited, needs_of_each
from videoproc.storage import Anywhere
from videoproc.tasks import select_task
from videoproc.types import UserError

POLL_S = 0.5
START_S = 10.0  # workers that start at once are up by then: nothing to say
SAY_AGAIN_S = 60.0
NO_DEADLINE_S = 120.0  # what Ray Train gives a node that goes nobody knows when
# Of the half minute of notice that some clouds give, 5 s would be too many to lose.
os.environ.setdefault("RAY_TRAIN_PREEMPTION_POLL_INTERVAL_S", "2")
# Ray Train counts a lost node's cores for some seconds more, and then waits so long before it
# counts again: 60 s was a minute lost after each loss of an elastic run.
os.environ.setdefault("RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S", "15")
# It asks whether workers are done: by default every 2 s, of which a fold waits one on average.
os.environ.setdefault("RAY_TRAIN_HEALTH_CHECK_INTERVAL_S", "0.5")

Say = Callable[[str], None]


class WorkersLostError(RuntimeError):
    """Workers were lost more often than config allows: the message says so in one line."""


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What a worker is given."""

    loop: LoopConfig
    card: Card
    train: Sequence[Sample]
    val: Sequence[Sample]
    folder: Anywhere


def fit(
    assignment: Assignment, *, workers: WorkerConfig, scratch: Path, on_report: Report, say: Say
) -> None:
    """Train to the end, restarting lost workers; `on_report` gets the metrics of each epoch, and
    `say` a line where training waits, loses workers or goes on with others.

    scratch: a folder of this machine for Ray Train's own state, which goes with the end. Errors:
    UserError where the cluster is too small or a node does not see the folder of checkpoints;
    WorkersLostError; what the workers raise.
    """
    needs = needs_of_each(workers)
    check_all_see(assignment.folder, workers.placement)
    # Where the queue's process dies it is started anew: what it held stands in the checkpoint.
    here = {NODE_ID: ray.get_runtime_context().get_node_id()}
    heard = Queue(actor_options={"num_cpus": 0, "max_restarts": -1, "label_selector": here})
    trainer = DataParallelTrainer(
        # What is bound here goes to the workers alone; a `train_loop_config` the controller would
        # unpickle as well, and import torch for it before it starts them.
        partial(_train_worker, assignment, heard),
        backend_config=AtOwnAddress(),
        scaling_config=_scaling(workers, needs),
        run_config=RunConfig(
            name=assignment.folder.name,
            # Only its controller, here, reads and writes this: checkpoints are none of its matter.
            storage_path=str(scratch),
            failure_config=FailureConfig(max_failures=workers.max_failures),
            callbacks=[OnFailure(heard)],  # type: ignore[list-item]  # as of Train V1
        ),
    )
    waiting = Waiting(workers=workers, needs=needs, say=say)
    try:
        with _Listening(heard, on_report, waiting):
            trainer.fit()
    except ControllerError as error:
        failure = error.controller_failure
        if isinstance(failure, UserError):  # of a worker, by way of OnFailure
            raise failure from None
        raise
    except WorkerGroupError as error:
        if any(isinstance(e, WorkerHealthCheckFailedError) for e in error.worker_failures.values()):
            raise WorkersLostError(
                f"workers were lost more than max_failures ({workers.max_failures}) times, at last "
                f"because {first_line(error.worker_failures)}: see to the machines, and resume"
            ) from None
        raise
    finally:
        shutil.rmtree(scratch / assignment.folder.name, ignore_errors=True)
        forget(assignment.folder)


def _scaling(workers: WorkerConfig, needs: Resources) -> ScalingConfig:
    number = workers.workers
    # Ray's types are those of Train V1.
    return ScalingConfig(  # type: ignore[call-arg]
        num_workers=number if workers.min_workers is None else (workers.min_workers, number),  # type: ignore[arg-type]
        use_gpu="GPU" in needs,
        resources_per_worker=dict(needs),
        label_selector=workers.placement.labels or None,
    )


def _train_worker(assignment: Assignment, heard: Queue) -> None:
    folder = assignment.folder
    check_seen(folder)
    device = ray.train.torch.get_device()
    if device.type == "cuda":
        torch.cuda.set_device(device)
    else:
        torch.set_num_threads(_own_cpus())
    world = World.current(device)

    def tell(what: News) -> None:
        if world.rank == 0:
            with suppress(
                RayActorError
            ):  # the queue's process; metrics stand in the checkpoint too
                heard.put(what)

    trainer = Trainer(
        config=assignment.loop,
        task=select_task(assignment.card.task),
        card=assignment.card,
        train=assignment.train,
        val=assignment.val,
        folder=folder,
        report=lambda metrics, epoch: tell(Epoch(metrics, epoch)),
        world=world,
        is_leaving=_Notices(tell),
    )
    tell(Started(world.size))
    trainer.fit()


def _own_cpus() -> int:
    return max(1, int(ray.get_runtime_context().get_assigned_resources().get("CPU", 1)))


@dataclass
class _Notices:
    """Whether nodes are to be taken away that were not when it was last asked."""

    tell: Callable[[Notice], None]
    known: set[str] = field(default_factory=set)

    def __call__(self) -> bool:
        # ray.train.get_preemption_info() asks rank 0 through an actor: too dear for every step.
        # This is where it looks. The loop adds up what the workers say: so they agree on the step.
        info = get_train_context().preemption_context.preemption_info
        if info is None or self.known >= set(info.preempted_node_ids):
            return False
        self.known |= set(info.preempted_node_ids)
        in_s = None if info.deadline_ms is None else info.deadline_ms / 1000 - time.time()
        self.tell(Notice(tuple(info.preempted_node_ids), in_s))
        return True


@dataclass(kw_only=True)
class Waiting:
    """Says what training waits for while it does: soon, and then every minute."""

    workers: WorkerConfig
    needs: Resources
    say: Say
    since: float | None = field(default_factory=time.monotonic)  # None while workers train
    said: float = float("-inf")
    starts: int = 0

    def hear(self, what: News) -> None:
        if isinstance(what, Started):
            if self.starts:
                self.say(f"{what.workers} worker(s) go on from the last checkpoint")
            elif self.said > 0 or what.workers != self.workers.workers:
                self.say(f"{what.workers} worker(s) train")
            self.starts += 1
            self.since, self.said = None, float("-inf")
        elif isinstance(what, Notice):
            in_s = "" if what.in_s is None else f" in {what.in_s:.0f} s"
            self.say(f"node(s) {', '.join(n[:8] for n in what.nodes)} go{in_s}: checkpoint now")
            # Ray Train then stops the workers without a word.
            self.since = time.monotonic() + (NO_DEADLINE_S if what.in_s is None else what.in_s)
        elif isinstance(what, Stopped) and not (self.starts and self.is_stopped):
            self.since = time.monotonic()
            self.say(f"{what.why}: the workers start again from the last checkpoint")

    @property
    def is_stopped(self) -> bool:
        return self.since is not None and self.since <= time.monotonic()

    def look(self) -> None:
        now = time.monotonic()
        if self.since is None or now < max(self.since + START_S, self.said + SAY_AGAIN_S):
            return
        reason = awaited(self.workers, self.needs)
        if reason is None and now - self.since > SAY_AGAIN_S:
            reason = (
                f"its workers have been starting for {now - self.since:.0f} s: Ray's logs say why"
            )
        if reason is not None:
            self.said = now
            self.say(reason)


class _Listening:
    """Hands on what is heard until the `with` ends, then what is left.

    What `on_report` raises is raised at the end of the `with`: the workers need not stop for it.
    """

    def __init__(self, heard: Queue, on_report: Report, waiting: Waiting) -> None:
        self._heard, self._on_report, self._waiting = heard, on_report, waiting
        self._stopped = threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="listening")

    def __enter__(self) -> None:
        self._done: Future[None] = self._thread.submit(self._listen)

    def __exit__(self, error_type: type[BaseException] | None, *_: object) -> None:
        self._stopped.set()
        self._thread.shutdown()
        self._heard.shutdown()
        if error_type is None:  # the workers' own error says more
            self._done.result()

    def _listen(self) -> None:
        while True:
            last_look = self._stopped.is_set()
            try:
                while True:
                    self._take(self._heard.get(timeout=POLL_S))
            except RayActorError:  # it answers at once, as long as the queue's process is away
                time.sleep(POLL_S)
            except (Empty, queue.Empty):
                pass
            if last_look:
                return
            self._waiting.look()

    def _take(self, what: News) -> None:
        if isinstance(what, Epoch):
            self._on_report(what.metrics, what.number)
        else:
            self._waiting.hear(what)
