"""The turns that `benchmarks.learning.speed` takes: what each reads, computes and times."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from benchmarks.pipeline.contenders import read_loop
from pipelines.train import Prepared
from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LoopConfig
from videoproc.learning.learner import Part
from videoproc.learning.loader import GlobalBatch, Waiting, batches, epoch_order
from videoproc.learning.loop import Trainer
from videoproc.learning.samples import Sample
from videoproc.learning.trained import clips_at_once
from videoproc.learning.world import World
from videoproc.media import Sampling, Size, read_clips
from videoproc.runtime import trainer
from videoproc.runtime.trainer import Assignment
from videoproc.runtime.workers import WorkerConfig
from videoproc.tables import Recipe

CORES = os.cpu_count() or 1
CPU = torch.device("cpu")
POLL_S = 0.005


@dataclass(frozen=True, kw_only=True)
class Epochs:
    """Epochs of the same clips in this process, from shards and from tensors in memory."""

    prepared: Prepared
    clips: Sequence[Sample]
    batch_size: int

    def from_shards(self, epoch: int, waiting: Waiting | None = None) -> Iterator[GlobalBatch]:
        targets, spec = self.prepared.task.targets, self.prepared.card.spec
        return batches(
            self.clips,
            make_batch=lambda rows: targets.make_batch(rows, spec),
            order=epoch_order(len(self.clips), seed=0, epoch=epoch, shuffle=True),
            batch_size=self.batch_size,
            device=CPU,
            waiting=waiting,
        )

    def load_s(self, epoch: int) -> float:
        """Seconds of an epoch that nothing is done with."""
        started = time.perf_counter()
        for _ in self.from_shards(epoch):
            pass
        return time.perf_counter() - started

    def train(self, folder: Path) -> Callable[[bool, int], tuple[float, float]]:
        """What trains an epoch: (from shards or from memory, its number) to its seconds, and those
        of them that it waited for data."""
        steps = Trainer(
            config=LoopConfig(batch_size=self.batch_size),
            task=self.prepared.task,
            card=self.prepared.card,
            train=self.clips,
            val=self.clips,
            folder=folder,
            report=lambda metrics, epoch: None,  # noqa: ARG005
            world=World.current(CPU),
        )

        def epoch(is_memory: bool, number: int) -> tuple[float, float]:
            waiting = Waiting()
            held = list(self.from_shards(number)) if is_memory else None
            started = time.perf_counter()
            for batch in held or self.from_shards(number, waiting):
                steps.step(batch)
            return time.perf_counter() - started, waiting.seconds

        return epoch


class Videos(Dataset[tuple[torch.Tensor, int]]):
    """The Dataset that one writes first: a video is decoded when its clip is asked for."""

    def __init__(self, paths: Sequence[str], sampling: Sampling, size: Size) -> None:
        self._paths, self._sampling, self._size = paths, sampling, size

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        frames = read_loop(
            self._paths[index], frames=self._sampling.num_frames, side=self._size.width
        )
        return torch.from_numpy(frames), index


def decoding_loader(
    paths: Sequence[str], *, recipe: Recipe, batch_size: int
) -> Callable[[], float]:
    """Seconds of an epoch of torch's DataLoader with a worker a core, which stay: the first epoch,
    in which they start, is read here."""
    loader = DataLoader(
        Videos(paths, recipe.sampling, recipe.size),
        batch_size=batch_size,
        shuffle=True,
        num_workers=CORES,
        persistent_workers=True,
        multiprocessing_context="spawn",
        worker_init_fn=_one_thread,
    )

    def epoch_s() -> float:
        started = time.perf_counter()
        for _ in loader:
            pass
        return time.perf_counter() - started

    epoch_s()
    return epoch_s


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


@dataclass(frozen=True, kw_only=True)
class Fits:
    """Trainings by Ray Train, in a cluster that runs already."""

    prepared: Prepared
    folder: Path

    def clips_per_s(self, part: Part, *, workers: int, epochs: int, batch_size: int) -> float:
        """The median of the epochs after the first; workers share the cores."""
        speeds: list[float] = []
        loop = LoopConfig(epochs=epochs, batch_size=batch_size)
        self._fit(
            part, loop, workers, lambda metrics, _: speeds.append(metrics["train/clips_per_second"])
        )
        return float(np.median(speeds[1:]))

    def start_s(self, part: Part) -> float:
        """From the call to the end of the first step, whose checkpoint is there then."""
        loop = LoopConfig(epochs=1, batch_size=1, checkpoint_every_steps=1)
        done_s: list[float] = []
        started = time.perf_counter()
        first = self._run / "step-00000001"

        def watch() -> None:
            while not first.exists():
                time.sleep(POLL_S)
            done_s.append(time.perf_counter() - started)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        self._fit(part, loop, 1, lambda metrics, epoch: None)  # noqa: ARG005
        watching.join(timeout=1)
        return done_s[0]

    @property
    def _run(self) -> Path:
        return self.folder / "run"

    def _fit(
        self,
        part: Part,
        loop: LoopConfig,
        workers: int,
        on_report: Callable[[dict[str, float], int], None],
    ) -> None:
        trainer.fit(
            Assignment(
                loop=loop,
                card=self.prepared.card,
                train=part.train,
                val=part.val,
                folder=self._run,
            ),
            workers=WorkerConfig(workers=workers, gpu="false", max_failures=0),
            scratch=self.folder / "ray_train",
            on_report=on_report,
            say=print,
        )
        shutil.rmtree(self._run)


def bare(paths: Sequence[str], prepared: Prepared) -> dict[str, float]:
    """A process a core, in a loop over what is left: first all decode, then all let the network run
    over as many clips. No Ray, no isolation, no tables; imports are over when time starts."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(CORES + 1)
    taken = [context.Value("q", 0) for _ in range(2)]
    recipe = prepared.recipe
    args = (paths, recipe.sampling, recipe.size, prepared.card, taken, barrier)
    processes = [context.Process(target=_decode_and_tell, args=args) for _ in range(CORES)]
    for process in processes:
        process.start()
    times = [(barrier.wait(), time.perf_counter())[1] for _ in range(3)]
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a bare process has failed")
    return {"decode_s": times[1] - times[0], "forward_s": times[2] - times[1]}


def _decode_and_tell(
    paths: Sequence[str],
    sampling: Sampling,
    size: Size,
    card: Card,
    taken: Sequence[Synchronized[int]],
    barrier: Barrier,
) -> None:
    torch.set_num_threads(1)
    try:
        model, at_once = card.build().eval(), clips_at_once(card)
        frames = [_decode(paths[0], sampling, size)] * at_once
        barrier.wait()
        for number in _next(taken[0], len(paths), 1):
            frames[number % at_once] = _decode(paths[number], sampling, size)
        barrier.wait()
        with torch.inference_mode():
            for number in _next(taken[1], len(paths), at_once):
                of_these = frames[: min(at_once, len(paths) - number)]
                model(torch.from_numpy(np.stack(of_these))).softmax(dim=1).tolist()
        barrier.wait()
    except BaseException:
        barrier.abort()  # else the others wait for ever
        raise


def _decode(path: str, sampling: Sampling, size: Size) -> np.ndarray:
    (clip,) = read_clips(path, sampling=sampling, size=size)
    return clip.frames_thwc


def _next(taken: Synchronized[int], end: int, step: int) -> Iterator[int]:
    while True:
        with taken.get_lock():
            number, taken.value = taken.value, taken.value + step
        if number >= end:
            return
        yield number


def memory_mib(data: Path, *, clips: int, epochs: int) -> dict[str, float]:
    """Of a process that trains as a worker does, on a table of so many clips: its own memory when
    training starts, and the most it had of it after a step."""
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.learning.speed_memory",
            *map(str, (data, clips, epochs)),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    before, most = map(float, done.stdout.split()[-2:])
    return {"at_start_mib": before, "most_mib": most}
