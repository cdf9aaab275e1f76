"""Running a list of steps over rows: in this process, or as Ray Data stages over a cluster.

Both give the same receipts. All steps of a row are one Ray task, so frames never leave the worker
that decoded them; only a model's actors take frames from others.
"""

from __future__ import annotations

import itertools
import logging
import math
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pyarrow as pa
import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext

from videoproc.runtime import session
from videoproc.runtime.placement import DECODE_MEMORY_BYTES, MODEL_MEMORY_BYTES, Placement
from videoproc.types import SECONDS, Row

Step = Callable[[Row], Iterator[Row]]
BatchStep = Callable[[pa.Table], pa.Table]
T = TypeVar("T")

MAX_ROWS_PER_TASK = 64  # about 40 MB of 16x112x112 clips: a shard of a useful size
TASKS_PER_CORE = 3  # so that a slow task at the end leaves few cores idle
ANYWHERE = Placement()


@dataclass(frozen=True)
class Named:
    """A step and the name under which its time is accounted."""

    name: str
    step: Step


@dataclass(frozen=True, kw_only=True)
class ModelStage:
    """A batch step with state, which `make` builds once in each process that runs it.

    Without GPUs it fuses with the steps before it, so frames stay in the worker that decoded
    them. With GPUs it has actors of its own, since Ray ends a GPU task's process after each task;
    `placement` says where those run, and there are as many as GPUs are free, also later.
    `memory_bytes` is what building the step and a batch need. `key` tells it from other stages.
    """

    make: Callable[[], BatchStep]
    batch_size: int
    num_gpus: float = 0
    placement: Placement = ANYWHERE
    memory_bytes: int = MODEL_MEMORY_BYTES
    key: str = field(default_factory=lambda: uuid.uuid4().hex)

    @property
    def needs(self) -> dict[str, float]:
        """What each actor takes."""
        return self.placement.needs(gpus=self.num_gpus, memory_bytes=self.memory_bytes)


def share(value: T, *, inline: bool = False) -> Callable[[], T]:
    """What gives `value` to steps and models: by way of Ray's object store, from which each node
    fetches it once. For what is too large to travel with every task."""
    if inline:
        return lambda: value
    ref = ray.put(value)
    return lambda: ray.get(ref)


def run(
    rows: Sequence[Row],
    *,
    steps: Sequence[Named],
    sink: BatchStep,
    model: ModelStage | None = None,
    placement: Placement = ANYWHERE,
    say: Callable[[str], None] = print,
    inline: bool = False,
) -> Iterator[dict[str, Any]]:
    """Run `rows` through `steps`, an optional model and `sink`; yield the sink's rows as they come.

    With `inline` everything happens in this process, one row after another: for a debugger.
    `placement` is of all but a model with actors of its own. Where no node is there for that, and
    the cluster grows by itself, `say` is told what is waited for; else that is a UserError.
    """
    if not rows:
        return iter(())
    if inline:
        return _run_inline(rows, steps, model, sink)
    return _run_ray(rows, steps, model, sink, placement, say)


def timed(named: Named) -> Step:
    """The step, noting in each row's `seconds_<name>` column how long making it took, less what
    the step itself puts down under other names."""

    def step(row: Row) -> Iterator[Row]:
        started = time.perf_counter()
        for made in named.step(row):
            elapsed_s = time.perf_counter() - started
            other_s = sum(made[k] for k in made if k.startswith(SECONDS) and k not in row)
            yield made | {SECONDS + named.name: elapsed_s - other_s}
            started = time.perf_counter()

    return step


def _run_inline(
    rows: Iterable[Row], steps: Sequence[Named], model: ModelStage | None, sink: BatchStep
) -> Iterator[dict[str, Any]]:
    for receipts in _through(rows, steps, [model.make(), sink] if model else [sink]):
        yield from receipts.to_pylist()


def _through(
    rows: Iterable[Row], steps: Sequence[Named], then: Sequence[BatchStep]
) -> Iterator[pa.Table]:
    """What the last step makes of the rows, in parts of a useful size."""
    for named in steps:
        rows = itertools.chain.from_iterable(map(timed(named), rows))
    rows = iter(rows)
    while part := list(itertools.islice(rows, MAX_ROWS_PER_TASK)):
        table = pa.Table.from_pylist(part)
        for step in then:
            table = step(table)
        yield table


def _run_ray(
    rows: Sequence[Row],
    steps: Sequence[Named],
    model: ModelStage | None,
    sink: BatchStep,
    placement: Placement,
    say: Callable[[str], None],
) -> Iterator[dict[str, Any]]:
    _quiet()
    actors = model if model and model.num_gpus else None
    of_model = model.memory_bytes if model and not actors else 0
    needs = placement.needs(memory_bytes=DECODE_MEMORY_BYTES + of_model)
    for waited in (
        session.require_fit(placement, needs, what="each decoding task"),
        session.require_fit(
            actors.placement, actors.needs, what="each model", setting="model_placement"
        )
        if actors
        else None,
    ):
        if waited:
            say(waited)
    tasks = session.cores_to_expect(placement) * TASKS_PER_CORE
    per_task = min(math.ceil(len(rows) / tasks), MAX_ROWS_PER_TASK)
    dataset: ray.data.Dataset = ray.data.from_items(
        list(rows), override_num_blocks=math.ceil(len(rows) / per_task)
    )
    # All of a task in one function: between two of its own, Ray makes blocks of all frames.
    fused = [_built_once(model)] if model and not actors else []
    dataset = dataset.map_batches(
        _task(steps, [] if actors else [*fused, sink]),
        batch_format="pyarrow",
        batch_size=None,
        **_options(placement, needs),
    )
    if actors:
        dataset = dataset.map_batches(
            _actor(actors.make),
            batch_format="pyarrow",
            batch_size=actors.batch_size,
            compute=ActorPoolStrategy(min_size=1),  # at most what the GPUs allow, also later
            **_options(actors.placement, actors.needs),
        ).map_batches(
            # With a batch size Ray would gather whole batches first.
            sink,
            batch_format="pyarrow",
            batch_size=None,
            **_options(placement, needs),
        )
    return iter(dataset.iter_rows())


def _task(
    steps: Sequence[Named], then: Sequence[BatchStep]
) -> Callable[[pa.Table], Iterator[pa.Table]]:
    def task(rows: pa.Table) -> Iterator[pa.Table]:
        return _through(rows.to_pylist(), steps, then)

    return task


def _options(placement: Placement, needs: Mapping[str, float]) -> dict[str, Any]:
    """As the map calls of Ray Data name them."""
    return {
        "num_cpus": needs["CPU"],
        "num_gpus": needs.get("GPU"),
        "memory": needs["memory"],
        "resources": placement.resources or None,
        "label_selector": placement.labels or None,
    }


def _built_once(model: ModelStage) -> BatchStep:
    # Ray unpickles the function for every task, so what it builds is kept by the stage's key.
    make, key, batch_size = model.make, model.key, model.batch_size

    def step(batch: pa.Table) -> pa.Table:
        if key not in _BUILT:
            _BUILT.clear()  # an earlier job's model
            _BUILT[key] = make()
        starts = range(0, max(1, batch.num_rows), batch_size)
        return pa.concat_tables(_BUILT[key](batch.slice(start, batch_size)) for start in starts)

    return step


_BUILT: dict[str, BatchStep] = {}


def _actor(make: Callable[[], BatchStep]) -> type:
    class ModelActor:
        def __init__(self) -> None:
            self._step = make()

        def __call__(self, batch: pa.Table) -> pa.Table:
            return self._step(batch)

    return ModelActor


def _quiet() -> None:
    context = DataContext.get_current()
    context.enable_progress_bars = False  # the job prints its own, which reads well in a log too
    context.print_on_execution_start = False
    context.issue_detectors_config.detectors = []  # advice on settings that the user does not have
    logging.getLogger("ray.data").setLevel(logging.WARNING)
    # These show the traceback of a task's error, which comes to the job as well: there it is said
    # in a line, or raised with the traceback that it has.
    for name in ("exceptions", "_internal.execution.streaming_executor_state"):
        logging.getLogger(f"ray.data.{name}").setLevel(logging.CRITICAL)
    # Warns that the progress bars are off, as they should be.
    logging.getLogger("ray.data._internal.progress").setLevel(logging.ERROR)
