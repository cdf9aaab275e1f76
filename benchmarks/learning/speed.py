"""How fast training and predicting are beside what bounds them, and beside torch's DataLoader.

    python -m benchmarks.learning.speed --data FIGHTS --work FOLDER [--only CASE ...] [--quick]

FIGHTS holds short labelled MP4 files, a folder a class. `cnn_gru` with its defaults trains on 16
frames at 112x112 of each, in batches of 32. What is compared takes turns within a case, so that
what else the machine does hits all alike; what counts is the median of the ratios by round.

wait, memory   an epoch of training in this process from shards, beside the same epoch from
               tensors in memory; the first epoch is not counted
loading        an epoch from shards with no training, beside torch's DataLoader whose workers, one a
               core, decode the videos by the PyAV loop that one writes first; its workers stay
workers        epochs of Ray Train with 1, 2 and 4 workers that share the cores, same global batch:
               clips a second by that of 1 worker
predict        the job, from its first task to its last, on copies of the videos that were indexed
               only, beside a process a core that decodes and then lets the network run
start          from the call in a process that is connected to a running Ray, to the end of the
               first step (of one clip), which includes the start of Ray Train and of its worker
table          the own memory of a process that trains on tables of 1 and 10 times as many clips

--quick runs everything once on a few small clips: whether it works, not how fast; nothing is kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.learning import speed_cases
from benchmarks.learning.speed_cases import Epochs, Fits
from benchmarks.pipeline.copies import write_copies
from benchmarks.pipeline.throughput import machine
from pipelines.predict import PredictConfig
from pipelines.predict import predict as predict_job
from pipelines.train import Prepared, TrainConfig, prepare
from videoproc import runlog
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position
from videoproc.learning.learner import Part
from videoproc.learning.optim import make_optimiser
from videoproc.runtime import session
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "learning_speed.json"
MODEL = "cnn_gru"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How much is measured."""

    rounds: int = 3
    frames: int = 16
    side: int = 112
    clips: int = 64
    """Of an epoch."""
    batch_size: int = 32
    videos: int = 750
    """Of a turn of predict."""
    table_clips: int = 150
    workers: tuple[int, ...] = (1, 2, 4)


QUICK = Plan(
    rounds=1, frames=4, side=32, clips=8, batch_size=4, videos=8, table_clips=8, workers=(1, 2)
)


@dataclass(frozen=True, kw_only=True)
class Reach:
    """A figure of a case: at most `most`, or at least `least`."""

    name: str
    figure: str
    most: float | None = None
    least: float | None = None

    def held(self, value: float) -> bool:
        return value >= self.least if self.least is not None else value <= (self.most or 0)


REACHES = (
    Reach(name="wait", figure="share of step time spent waiting for data", most=0.02),
    Reach(name="memory", figure="epoch from shards / from tensors in memory", most=1.05),
    Reach(name="loading", figure="epoch from shards / DataLoader that decodes", most=0.1),
    Reach(name="workers 2", figure="efficiency of 2 workers", least=0.85),
    Reach(name="predict", figure="predict / (bare decoding + bare forward)", most=1.15),
    Reach(name="start", figure="seconds to the end of the first step", most=5.0),
)


class Bench:
    """The folder of a measurement: a dataset of clips, one of videos that were indexed only."""

    def __init__(self, data: Path, work: Path, plan: Plan) -> None:
        self.data, self.work, self.plan = data, work, plan
        os.environ["VIDEOPROC_WORKSPACE"] = str(work / "workspace")
        size = ("--size.height", plan.side, "--size.width", plan.side)
        self._job("index", "--source", data, "--data", work / "clips")
        self._job(
            *("extract", "--data", work / "clips", "--sampling.num_frames", plan.frames, *size),
            *("--features", "[]"),
        )
        self.prepared: Prepared = prepare(TrainConfig(data=str(work / "clips"), model=MODEL))
        samples = [*self.prepared.train, *self.prepared.val]
        self.clips = samples[: plan.clips]
        self.part = Part(train=self.clips, val=samples[:2], test=())

    def _job(self, job: str, *words: object) -> None:
        subprocess.run(
            [sys.executable, "-m", f"pipelines.{job}", *map(str, words)],
            stdout=subprocess.DEVNULL,
            check=True,
        )

    def rounds(self, *turns: Callable[[int], Any]) -> list[list[Any]]:
        """What each turn gave by round; who begins changes from round to round."""
        found: list[list[Any]] = [[] for _ in turns]
        for number in range(self.plan.rounds):
            first = number % len(turns)
            for i in [*range(first, len(turns)), *range(first)]:
                found[i].append(turns[i](number))
        return found

    def epochs(self) -> dict[str, Any]:
        epochs = Epochs(prepared=self.prepared, clips=self.clips, batch_size=self.plan.batch_size)
        epoch = epochs.train(self.work / "epochs")
        epoch(False, 0)
        shards, memory = self.rounds(
            lambda number: epoch(False, number + 1), lambda number: epoch(True, number + 1)
        )
        return {
            "wait": [waited_s / seconds for seconds, waited_s in shards],
            "memory": ratios([s for s, _ in shards], [s for s, _ in memory]),
            "shards_s": [seconds for seconds, _ in shards],
            "memory_s": [seconds for seconds, _ in memory],
            "waited_s": [waited_s for _, waited_s in shards],
        }

    def loading(self) -> dict[str, Any]:
        epochs = Epochs(prepared=self.prepared, clips=self.clips, batch_size=self.plan.batch_size)
        uris = {video.video_id: video.uri for video in self.prepared.videos}
        decoded_s = speed_cases.decoding_loader(
            [uris[sample.row["video_id"]] for sample in self.clips],
            recipe=self.prepared.recipe,
            batch_size=self.plan.batch_size,
        )
        epochs.load_s(0)
        shards_s, decoding_s = self.rounds(epochs.load_s, lambda _: decoded_s())
        return {
            "loading": ratios(shards_s, decoding_s),
            "shards_s": shards_s,
            "decoding_s": decoding_s,
        }

    def workers(self) -> dict[str, Any]:
        fits = Fits(prepared=self.prepared, folder=self.work / "fits")
        speeds = self.rounds(
            *(
                lambda _, workers=workers: fits.clips_per_s(
                    self.part, workers=workers, epochs=2, batch_size=self.plan.batch_size
                )
                for workers in self.plan.workers
            )
        )
        by_workers = dict(zip(self.plan.workers, speeds, strict=True))
        return {
            f"workers {workers}": ratios(found, by_workers[1])
            for workers, found in by_workers.items()
            if workers > 1
        } | {"clips_per_s": by_workers}

    def start(self) -> dict[str, Any]:
        fits = Fits(prepared=self.prepared, folder=self.work / "fits")
        few = replace(self.part, train=self.clips[:2], val=self.clips[:1])
        (start_s,) = self.rounds(lambda _: fits.start_s(few))
        return {"start": start_s}

    def predict(self) -> dict[str, Any]:
        paths = write_copies(self.data, self.work / "copies", count=self.plan.videos)
        listed = self.work / "copies.csv"
        listed.write_text("path\n" + "".join(f"{path}\n" for path in paths))
        self._job("index", "--source", listed, "--layout", "csv", "--data", self.work / "indexed")
        run_id = self._log_untrained()
        names = [str(path) for path in paths]
        jobs, bares = self.rounds(
            lambda _: self._predict(run_id), lambda _: speed_cases.bare(names, self.prepared)
        )
        bare_s = [bare["decode_s"] + bare["forward_s"] for bare in bares]
        return {"predict": ratios([j["read_s"] for j in jobs], bare_s), "jobs": jobs, "bare": bares}

    def _log_untrained(self) -> str:
        """A run with a network's first weights: how fast it predicts does not depend on them."""
        model, card = self.prepared.card.build(), self.prepared.card
        with runlog.job_run(
            "train", data=self.work / "clips", workspace=self.work / "workspace", config={}
        ) as run:
            checkpoint.save(
                self.work / "untrained",
                model=model,
                optimiser=make_optimiser(model, TrainConfig(data="", model=MODEL).loop.optim),
                card=card,
                position=Position(step=1),
            )
            run.log_folder(checkpoint.best(self.work / "untrained"), "checkpoint")
        return run.run_id

    def _predict(self, run_id: str) -> dict[str, Any]:
        data = self.work / "predicted"
        shutil.copytree(self.work / "indexed", data)
        started = time.perf_counter()
        done = predict_job(PredictConfig(data=str(data), run=run_id))
        job_s = time.perf_counter() - started
        shutil.rmtree(data)
        if done.predictions != self.plan.videos:
            raise RuntimeError(f"{done.predictions} predictions of {self.plan.videos} videos")
        worker_s = sum(done.seconds.values())
        return {
            "read_s": (worker_s + done.idle_s) / done.cores,
            "job_s": job_s,
            "worker_s": dict(done.seconds),
            "idle_core_s": done.idle_s,
        }

    def table(self) -> dict[str, Any]:
        found = {}
        for times in (1, 10):  # as many steps on either
            count = times * self.plan.table_clips
            folder = self.work / f"table-{count}"
            found[count] = speed_cases.memory_mib(folder, clips=count, epochs=10 // times)
            shutil.rmtree(folder)
        return {"memory_of": found}


CASES: dict[str, Callable[[Bench], dict[str, Any]]] = {
    "epochs": Bench.epochs,
    "loading": Bench.loading,
    "workers": Bench.workers,
    "start": Bench.start,
    "predict": Bench.predict,
    "table": Bench.table,
}


def ratios(of: Sequence[float], to: Sequence[float]) -> list[float]:
    return [a / b for a, b in zip(of, to, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, help="a folder to make, for its files")
    parser.add_argument("--rounds", type=int, default=Plan.rounds)
    parser.add_argument("--clips", type=int, default=Plan.clips, help="of an epoch")
    parser.add_argument("--videos", type=int, default=Plan.videos, help="of a turn of predict")
    parser.add_argument("--only", nargs="+", choices=CASES, help="these; nothing is kept")
    parser.add_argument("--quick", action="store_true", help="a few small clips; nothing is kept")
    arguments = parser.parse_args()
    if arguments.work.exists():
        parser.error(f"--work {arguments.work} is there already: name a folder to make")
    sizes = {name: getattr(arguments, name) for name in ("rounds", "clips", "videos")}
    plan = QUICK if arguments.quick else Plan(**sizes)
    started, code = time.monotonic(), code_version()
    try:
        bench = Bench(arguments.data.absolute(), arguments.work.absolute(), plan)
        cases = dict(measured(bench, arguments.only or list(CASES)))
    finally:
        shutil.rmtree(arguments.work, ignore_errors=True)
    record = {
        "record": "learning_speed",
        "version": 1,
        "command": "python -m benchmarks.learning.speed --data FIGHTS --work FOLDER",
        "settings": vars(plan) | {"model": MODEL},
        "machine": machine(),
        "code_version": code,
        "cases": cases,
        "reached": reached(cases),
        "elapsed_s": time.monotonic() - started,
    }
    print(shown(record))
    if not arguments.only and not arguments.quick:
        RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{record['elapsed_s']:.0f} s")


def measured(bench: Bench, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each case with the machine's load, in processes that want a core, before and after it."""
    with session.cluster():  # of Ray's own, with workers that wait: what is measured starts others
        for name in names:
            load = [os.getloadavg()[0]]
            found = CASES[name](bench)
            yield name, found | {"load_average": [*load, os.getloadavg()[0]]}
            print(f"{name}: {json.dumps(found)}", flush=True)


def reached(cases: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    found = {name: values for case in cases.values() for name, values in case.items()}
    return [
        {
            "name": reach.name,
            "figure": reach.figure,
            "most": reach.most,
            "least": reach.least,
            "median": median(found[reach.name]),
            "by_round": found[reach.name],
            "held": reach.held(median(found[reach.name])),
        }
        for reach in REACHES
        if reach.name in found
    ]


def shown(record: dict[str, Any]) -> str:
    lines = [f"{'':<46}{'median':>8}{'lowest':>8}{'highest':>8}  reach"]
    for row in record["reached"]:
        goal = f">= {row['least']}" if row["least"] is not None else f"<= {row['most']}"
        lines.append(
            f"{row['figure']:<46}{row['median']:>8.3f}{min(row['by_round']):>8.3f}"
            f"{max(row['by_round']):>8.3f}  {goal} {'held' if row['held'] else 'missed'}"
        )
    for name, values in record["cases"].get("workers", {}).items():
        if name.startswith("workers ") and name != "workers 2":
            lines.append(f"{f'efficiency of {name[8:]} workers':<46}{median(values):>8.3f}")
    for count, of in record["cases"].get("table", {}).get("memory_of", {}).items():
        lines.append(
            f"own memory, table of {count} clips: {of['at_start_mib']:.0f} MiB when training "
            f"starts, {of['most_mib']:.0f} at most"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
