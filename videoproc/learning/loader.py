"""Batches straight from shards: one global seeded order an epoch, whatever the number of workers.

Of each global batch a worker takes every N-th sample, N the number of workers. A batch that is
too small to go round gives the last workers a sample of weight 0, so that all take part in the
exchange of gradients and no sample counts twice.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch

from videoproc.learning.samples import Sample, read_sample
from videoproc.tables.clip_reader import ClipReader
from videoproc.tasks import Batch
from videoproc.types import Row

PREFETCHED = 3  # batches held ready by the reading thread
READERS = 4  # threads that read and decode the clips of a batch

MakeBatch = Callable[[Sequence[Row]], dict[str, np.ndarray]]


@dataclass(kw_only=True)
class GlobalBatch:
    """This worker's part of a global batch of `global_size` samples.

    Where samples have partners, `arrays` and `clip_ids` have the partners that are not of this
    worker's part behind its own samples. places: of its own samples in the global batch.
    partners: (B,) the row of each one's partner.
    """

    arrays: Batch
    weight_b: torch.Tensor
    global_size: int
    clip_ids: list[str]
    places: np.ndarray
    partners: np.ndarray


@dataclass(kw_only=True)
class Waiting:
    """Seconds that a consumer waited for data."""

    seconds: float = field(default=0.0)


def epoch_order(num_samples: int, *, seed: int, epoch: int, shuffle: bool) -> np.ndarray:
    """The order of an epoch: a permutation of range(num_samples) that seed and epoch decide."""
    if not shuffle:
        return np.arange(num_samples)
    return np.random.default_rng([seed, epoch]).permutation(num_samples)


def parts(
    order: np.ndarray, *, batch_size: int, rank: int, num_workers: int
) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
    """This worker's indices, their weights (1 or 0) and the global size of each global batch.

    order 0 1 2 3 4, batch_size 4, 2 workers:
        rank 0: [0 2] [4]      rank 1: [1 3] [4 with weight 0]
    """
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        mine = batch[rank::num_workers]
        weights = np.ones(len(mine), np.float32)
        if not len(mine):
            mine, weights = batch[:1], np.zeros(1, np.float32)
        yield mine, weights, len(batch)


def batches(
    samples: Sequence[Sample],
    *,
    make_batch: MakeBatch,
    order: np.ndarray,
    batch_size: int,
    first_batch: int = 0,
    rank: int = 0,
    num_workers: int = 1,
    device: torch.device,
    waiting: Waiting | None = None,
    pairs: Callable[[int, int], np.ndarray] | None = None,
) -> Iterator[GlobalBatch]:
    """This worker's part of each global batch from `first_batch` on, read ahead by a thread.

    pairs: (number of a batch, its global size) to the place of the partner of each place. A worker
    also reads the partners that others have: so who is whose does not depend on their number.
    """
    reader = ClipReader(columns=["dtype", "shape", "frames", "pts_s", "frame_indices"])
    positions = np.arange(len(order))
    plan = list(parts(positions, batch_size=batch_size, rank=rank, num_workers=num_workers))

    def read() -> Iterator[GlobalBatch]:
        with ThreadPoolExecutor(READERS) as readers:
            for number, (mine, weights, global_size) in enumerate(plan[first_batch:], first_batch):
                start = number * batch_size
                places = mine - start
                of_places = places if pairs is None else pairs(number, global_size)[places]
                read_places = [*places, *np.setdiff1d(of_places, places)]
                part = [samples[order[start + place]] for place in read_places]
                rows = list(readers.map(lambda sample: read_sample(sample, reader), part))
                arrays = {name: torch.from_numpy(a) for name, a in make_batch(rows).items()}
                yield GlobalBatch(
                    arrays=arrays,
                    weight_b=torch.from_numpy(weights),
                    global_size=global_size,
                    clip_ids=[sample.row["clip_id"] for sample in part],
                    places=places,
                    partners=np.array([read_places.index(place) for place in of_places]),
                )

    waiting = waiting or Waiting()
    for batch in _read_ahead(read(), waiting):
        batch.arrays = {n: a.to(device, non_blocking=True) for n, a in batch.arrays.items()}
        batch.weight_b = batch.weight_b.to(device)
        yield batch


def _read_ahead(source: Iterator[GlobalBatch], waiting: Waiting) -> Iterator[GlobalBatch]:
    ready: queue.Queue[GlobalBatch | BaseException | None] = queue.Queue(PREFETCHED)
    stopped = threading.Event()

    def put(item: GlobalBatch | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            for item in source:
                put(item)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # noqa: BLE001 - crosses the thread, raised below
            put(error)

    thread = threading.Thread(target=work, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            started = time.perf_counter()
            item = ready.get()
            waiting.seconds += time.perf_counter() - started
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()
