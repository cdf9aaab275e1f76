"""Raw frames and JPEG measured against each other: bytes, writing, reading, training, accuracy.

    python -m benchmarks.tables.frame_formats --source FIGHTS/groups.csv --work workspace/frames

FIGHTS is a folder of labelled videos with a CSV (columns file, label, source_id), such as the 300
surveillance clips of Aktı, Tataroğlu and Ekenel (IPTA 2019). Every video is decoded once; each
format then stores the same frames. Times are of rounds in which the formats take turns, in one
process, from files that the system holds in memory: they compare by ratio within a round, and say
nothing of a slow disk or a network, for which the bytes that a read fetches are given.

Accuracy: `cnn_gru` in two halves of the sources, each half tested by a model of the other, so that
every clip is tested once a seed. A seed begins with the same weights and sees the same videos in
the same order whatever the format. Its last epoch is tested; nothing is chosen by a look at the
test.

The rule: JPEG becomes the default at the highest quality that (1) takes at most a third of raw's
bytes, (2) slows a training epoch by at most 5 %, (3) reads a clip in at most 1.25 times raw's CPU
time, and (4) whose accuracy, less raw's, has a 95 % interval that lies above -2 points. Where none
does, raw stays. (3) was added after a trial of one seed and before this run: training on a CPU
waits so little for data that (2) can hardly fail here, where a GPU that is faster would wait.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from sklearn.model_selection import StratifiedGroupKFold

from pipelines import cli
from videoproc.corpus import manifest
from videoproc.corpus.layouts import LAYOUTS
from videoproc.corpus.splits import SplitConfig
from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LoopConfig, OptimConfig
from videoproc.learning.evaluate import paired_interval, score
from videoproc.learning.loader import READERS, batches
from videoproc.learning.loop import Trainer
from videoproc.learning.samples import Sample, find_samples
from videoproc.learning.world import World
from videoproc.media import Limits, Sampling, Size, decode_clips
from videoproc.models import model_config
from videoproc.report.table import side_by_side
from videoproc.tables import Dataset, FrameFormat, Recipe, Shard, step, write_shard
from videoproc.tables.clip_reader import ClipReader
from videoproc.tasks import select_task
from videoproc.types import Row, Video
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "frame_formats.json"
RECORD = "frame_formats"
FORMATS = {
    "raw": FrameFormat(encoding="raw"),
    "jpeg 95": FrameFormat(encoding="jpeg", quality=95),
    "jpeg 90": FrameFormat(encoding="jpeg", quality=90),
    "jpeg 75": FrameFormat(encoding="jpeg", quality=75),
}
RAW = "raw"
SHARD_ROWS = 64  # what one task of `extract` writes
MODEL, MODEL_SETTINGS = "cnn_gru", {"channels": [8, 16, 32], "inputs": "grey_and_difference"}
COLUMNS = ["dtype", "shape", "frames", "pts_s", "frame_indices"]  # what the loader reads
BATCH_SIZE = 8
MAX_RATIOS = {"table_kb": 1 / 3, "epoch_ms": 1.05, "read_one_thread_cpu_ms": 1.25}
MAX_LOSS = 0.02
CPU = torch.device("cpu")


@dataclass(kw_only=True)
class Stored:
    """One format's table, and what was measured on it: a list of values for each name."""

    dataset: Dataset
    recipe: Recipe
    rows: list[Row]
    samples: list[Sample] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def note(self, name: str, value: float) -> None:
        self.values.setdefault(name, []).append(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--source", required=True, type=Path)
    parser.add_argument("--work", required=True, help="a folder of its own; it is emptied first")
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--side", type=int, default=112)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2, help="of the training")
    arguments = parser.parse_args()
    started, version = time.monotonic(), code_version()
    torch.set_num_threads(arguments.threads)
    work = Path(cli.absolute(arguments.work))
    shutil.rmtree(work, ignore_errors=True)
    videos = read_videos(arguments.source)
    sampling = Sampling(num_frames=arguments.frames)
    size = Size(height=arguments.side, width=arguments.side)
    stored = store(videos, sampling, size, work)
    measure_times(stored, videos, work, rounds=arguments.rounds)
    say(started, "sizes and times are measured")
    tested = train_and_test(
        stored, work, seeds=arguments.seeds, epochs=arguments.epochs, started=started
    )
    groups = [sample.row["group"] for sample in stored[RAW].samples]
    formats = {
        name: {
            "median": {what: median(values) for what, values in of.values.items()},
            "ratio_to_raw": ratios(of, stored[RAW]),
            "accuracy": accuracy(tested, name, groups),
        }
        for name, of in stored.items()
    }
    record = {
        "record": RECORD,
        "version": 1,
        "command": "python -m benchmarks.tables.frame_formats",
        "settings": {k: v for k, v in vars(arguments).items() if k not in ("source", "work")},
        "model": {"name": MODEL, "batch_size": BATCH_SIZE, **MODEL_SETTINGS},
        "machine": {"cores": os.cpu_count(), "machine": platform.machine()},
        "code_version": version,
        "clips": len(groups),
        "sources": len(set(groups)),
        "readers": READERS,
        "rule": {"max_ratio_to_raw": MAX_RATIOS, "max_accuracy_loss": MAX_LOSS},
        "chosen": chosen(formats),
        "formats": formats,
        "rounds": {name: of.values for name, of in stored.items()},
        "elapsed_s": time.monotonic() - started,
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(side_by_side({name: flat(of) for name, of in formats.items()}))
    print(f"\nchosen: {record['chosen']}; {record['elapsed_s']:.0f} s; {RESULT}")


def say(started: float, what: str) -> None:
    print(f"{time.monotonic() - started:.0f} s: {what}", flush=True)


def read_videos(source: Path) -> list[Video]:
    built = manifest.build(LAYOUTS["csv"](source), split=SplitConfig(group="source_id"), workers=2)
    return [video for video in built.videos if video.error is None]


def store(videos: Sequence[Video], sampling: Sampling, size: Size, work: Path) -> dict[str, Stored]:
    """Decode every video once; each format gets the same frames under its own clip ids."""
    stored = {
        name: Stored(
            dataset=Dataset(folder=work / name.replace(" ", "_")),
            recipe=Recipe(sampling=sampling, size=size, frames=frame_format),
            rows=[],
        )
        for name, frame_format in FORMATS.items()
    }
    decode = decode_clips(sampling=sampling, size=size, limits=Limits())
    for video in videos:
        span = {"clip_index": 0, "start_s": 0.0, "end_s": video.duration_s}
        (decoded,) = decode({"video_id": video.video_id, "uri": video.uri, "spans": [span]})
        assert not decoded["error_class"], decoded
        for of in stored.values():
            (clip,) = of.recipe.clips_of(video)
            of.rows.append(decoded | {"clip_id": clip.clip_id, "view": 0})
    return stored


@contextmanager
def timed(of: Stored, name: str, *, per: int) -> Iterator[None]:
    """Notes the milliseconds of wall and CPU time that the block took, for each of `per` clips."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    of.note(f"{name}_ms", (time.perf_counter() - wall) * 1e3 / per)
    of.note(f"{name}_cpu_ms", (time.process_time() - cpu) * 1e3 / per)


def measure_times(
    stored: dict[str, Stored], videos: Sequence[Video], work: Path, *, rounds: int
) -> None:
    arrow_threads = pa.cpu_count()
    for number in range(rounds):
        for name in turned(stored, number):
            write_once(stored[name])
    for of in stored.values():
        found = find_samples(of.dataset, recipe=of.recipe, videos=videos, all_views=False)
        of.samples = sorted(found, key=lambda sample: sample.row["video_id"])
        measure_bytes(of)
    for number in range(rounds):
        order = np.random.default_rng(number).permutation(len(videos))
        for name in turned(stored, number):
            pa.set_cpu_count(1)
            read_once(stored[name], order, "read_one_thread", threads=1)
            pa.set_cpu_count(arrow_threads)
            read_once(stored[name], order, "read_all_threads", threads=os.cpu_count() or 1)
            load_once(stored[name], order)
            train_once(stored[name], order[: len(order) // 2], work / "epochs" / f"{name} {number}")


def turned(stored: dict[str, Stored], number: int) -> list[str]:
    """The formats, each first in its turn."""
    names = list(stored)
    return names[number % len(names) :] + names[: number % len(names)]


def write_once(of: Stored) -> None:
    """Encode and write every clip as `extract` does; the first round's shards are committed."""
    first = "encode_ms" not in of.values
    select = step.select_clips(of.recipe.recipe_id, frame_format=of.recipe.frames)
    batched = [
        pa.Table.from_pylist(of.rows[start : start + SHARD_ROWS])
        for start in range(0, len(of.rows), SHARD_ROWS)
    ]
    with timed(of, "encode", per=len(of.rows)):
        tables = [select(batch) for batch in batched]
    shards: list[Shard] = []
    with timed(of, "parquet", per=len(of.rows)):
        for table in tables:
            shards.append(write_shard(of.dataset.clips.folder, table, key=("clip_id",)))
    if first:
        of.dataset.clips.append(shards)


def measure_bytes(of: Stored) -> None:
    files = of.dataset.clips.files()
    of.note("table_kb", sum(Path(str(f)).stat().st_size for f in files) / len(of.rows) / 1e3)
    footers = {path: pq.read_metadata(str(path)) for path in files}
    fetched = [
        footers[s.place.path].row_group(s.place.row_group).total_byte_size for s in of.samples
    ]
    of.note("fetched_kb", float(np.mean(fetched)) / 1e3)


def read_once(of: Stored, order: np.ndarray, name: str, *, threads: int) -> None:
    reader = ClipReader(columns=COLUMNS)
    places = [of.samples[index].place for index in order]
    with ThreadPoolExecutor(threads) as pool, timed(of, name, per=len(order)):
        for row in pool.map(reader, places):
            assert row["frames"].nbytes


def load_once(of: Stored, order: np.ndarray) -> None:
    """An epoch of the training's loader with nobody training."""
    task, spec = select_task("classification"), spec_of(of.samples)
    with timed(of, "loader", per=len(order)):
        for _ in batches(
            of.samples,
            make_batch=lambda rows: task.targets.make_batch(rows, spec),
            order=order,
            batch_size=BATCH_SIZE,
            device=CPU,
        ):
            pass


def train_once(of: Stored, learn: np.ndarray, folder: Path) -> None:
    """An epoch of training, less the validation at its end."""
    trainer = make_trainer(of, learn, folder=folder, seed=0, epochs=1)
    trainer.fit()
    (epoch,) = trainer.position.history
    of.note("epoch_ms", 1e3 / epoch["train/clips_per_second"])
    of.note("epoch_wait_share", epoch["train/data_wait_share"])


def spec_of(samples: Sequence[Sample]) -> dict[str, Any]:
    return select_task("classification").targets.make_spec([sample.row for sample in samples])


def train_and_test(
    stored: dict[str, Stored], work: Path, *, seeds: int, epochs: int, started: float
) -> dict[str, dict[str, np.ndarray]]:
    """By what was trained on and what was tested on: probabilities (seeds, clips, classes)."""
    rows = [sample.row for sample in stored[RAW].samples]
    labels, groups = ([row[name] for row in rows] for name in ("label", "group"))
    halves = list(StratifiedGroupKFold(2, shuffle=True, random_state=0).split(rows, labels, groups))
    num_classes = len(set(labels))
    tested = {name: {name: np.empty((seeds, len(rows), num_classes))} for name in stored}
    tested[RAW] |= {name: np.empty((seeds, len(rows), num_classes)) for name in stored}
    for number, (seed, (learn, test)) in enumerate(itertools.product(range(seeds), halves)):
        for name in turned(stored, number):
            of = stored[name]
            folder = work / "runs" / f"{name} {number}"
            trainer = make_trainer(of, learn, folder=folder, seed=seed, epochs=epochs)
            trainer.fit()
            for other, answers in tested[name].items():
                answers[seed, test] = answer(trainer, stored[other], test)
            hits = tested[name][name][seed, test].argmax(1) == targets(rows)[test]
            say(started, f"seed {seed}, {name}: {hits.mean():.3f} on {len(test)} clips")
    return tested | {"target": {"": targets(rows)}}


def make_trainer(of: Stored, learn: np.ndarray, *, folder: Path, seed: int, epochs: int) -> Trainer:
    samples = [of.samples[index] for index in learn]
    spec, sampling, size = spec_of(of.samples), of.recipe.sampling, of.recipe.size
    return Trainer(
        config=LoopConfig(
            epochs=epochs, batch_size=BATCH_SIZE, seed=seed, optim=OptimConfig(learning_rate=2e-3)
        ),
        task=select_task("classification"),
        card=Card(
            task="classification",
            spec=spec,
            model=MODEL,
            model_settings=asdict(model_config(MODEL, MODEL_SETTINGS)),
            num_outputs=len(spec["classes"]),
            frame_shape=(sampling.num_frames, size.height, size.width, 3),
            recipe=of.recipe.to_json(),
        ),
        train=samples,
        val=(),
        folder=folder,
        report=lambda *_: None,
        world=World(rank=0, size=1, device=CPU),
    )


def answer(trainer: Trainer, of: Stored, test: np.ndarray) -> np.ndarray:
    scores, _ = score(
        trainer.model,
        [of.samples[index] for index in test],
        task=trainer.task,
        spec=trainer.card.spec,
        batch_size=BATCH_SIZE,
        world=trainer.world,
    )
    return scores["probabilities"]


def targets(rows: Sequence[Row]) -> np.ndarray:
    classes = sorted({row["label"] for row in rows})
    return np.array([classes.index(row["label"]) for row in rows])


def accuracy(
    tested: dict[str, dict[str, np.ndarray]], name: str, groups: Sequence[str | None]
) -> dict[str, Any]:
    """Accuracy by seed; what it is less raw's, with its interval; and what raw's own weights make
    of this format's frames."""
    target = tested["target"][""]
    of, raw, shown = tested[name][name], tested[RAW][RAW], tested[RAW][name]
    hits, raw_hits = (answers.argmax(2) == target for answers in (of, raw))
    between = paired_interval(mean_of(raw_hits), mean_of(hits), groups=groups)
    assert between is not None
    seeds = hits.mean(axis=1)
    return {
        "by_seed": seeds.tolist(),
        "mean": float(seeds.mean()),
        "less_raw": float(hits.mean() - raw_hits.mean()),
        "less_raw_by_seed": (seeds - raw_hits.mean(axis=1)).tolist(),
        "less_raw_low": float(between[0]),
        "less_raw_high": float(between[1]),
        "raw_weights": float((shown.argmax(2) == target).mean()),
        "raw_weights_other_answers": float((shown.argmax(2) != raw.argmax(2)).mean()),
        "raw_weights_probability_moves": float(np.abs(shown - raw).mean()),
    }


def mean_of(hits: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Seeds and clips alike: sources are resampled, the seeds are those that were run."""
    return lambda indices: hits[:, indices].mean()


def ratios(of: Stored, raw: Stored) -> dict[str, list[float]]:
    """Median, lower and upper quartile of the rounds' ratios to raw."""
    by_round = {
        what: [a / b for a, b in zip(values, raw.values[what], strict=True)]
        for what, values in of.values.items()
    }
    return {
        what: np.quantile(found, [0.5, 0.25, 0.75]).tolist() for what, found in by_round.items()
    }


def chosen(formats: dict[str, dict[str, Any]]) -> str:
    for name, of in formats.items():  # qualities descend
        if (
            all(of["ratio_to_raw"][what][0] <= most for what, most in MAX_RATIOS.items())
            and of["accuracy"]["less_raw_low"] > -MAX_LOSS
        ):
            return name
    return RAW


def flat(of: dict[str, Any]) -> dict[str, float]:
    relative = {f"{what}/ratio": found[0] for what, found in of["ratio_to_raw"].items()}
    kept = {f"accuracy/{k}": v for k, v in of["accuracy"].items() if isinstance(v, float)}
    return of["median"] | relative | kept


if __name__ == "__main__":
    main()
