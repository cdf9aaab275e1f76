"""The steps that `benchmarks.tables.scale` times, each in a process that says what it took."""

from __future__ import annotations

import hashlib
import io
import json
import resource
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines import extract as extract_job
from pipelines.extract import ExtractConfig
from pipelines.index import IndexConfig, index
from videoproc import schema
from videoproc.corpus import manifest
from videoproc.features import select_features
from videoproc.media import Sampling, Size
from videoproc.tables import Dataset, Recipe, Table, write_shard

SHARD_ROWS = 20_000
SHARDS_A_COMMIT = 20  # what a cluster of some dozens of cores writes in the 5 s between commits
MIB = 1 << 20
CONFIG = ExtractConfig(
    data="", sampling=Sampling(num_frames=4), size=Size(height=16, width=16), inline=True
)


class FirstVideoError(Exception):
    """Planning is over: the first video would be decoded now."""


def prepare(work: Path, count: int) -> str:
    """A manifest of videos that are nowhere, of 2 s each."""
    rows = []
    for i in range(count):
        digest = hashlib.sha256(str(i).encode()).hexdigest()
        rows.append(
            {
                "video_id": schema.video_id(digest),
                "digest": digest,
                "uri": f"/corpus/camera{i % 1000:03d}/{i:08d}.mp4",
                "size_bytes": 100_000,
                "codec": "h264",
                "width": 640,
                "height": 360,
                "fps": 25.0,
                "num_frames": 50,
                "duration_s": 2.0,
                "labels": [f"label{i % 10}"],
                "group": f"camera{i % 1000:03d}",
                "split": ("train", "val", "test")[i % 3],
                "error": None,
            }
        )
    Dataset(folder=work / "data").manifest.replace(pa.Table.from_pylist(rows, schema.MANIFEST))
    return f"{count} rows"


def plan(work: Path, _: int) -> str:
    """`extract` until it would decode; what it said."""

    def stub(**_: object) -> Callable[[object], object]:
        def step(_: object) -> object:
            raise FirstVideoError

        return step

    said = io.StringIO()
    extract_job.decode_clips = stub  # type: ignore[assignment]
    try:
        with redirect_stdout(said):
            extract_job.extract(_config(work))
    except FirstVideoError:
        return _of_extract(said.getvalue())
    raise AssertionError("nothing was decoded")


def fill(work: Path, _: int) -> str:
    """The clips and vectors of every other video, as a night that was killed would leave them."""
    dataset = Dataset(folder=work / "data")
    recipe = Recipe(sampling=CONFIG.sampling, size=CONFIG.size, augmentation=CONFIG.augmentation)
    videos = manifest.from_table(dataset.manifest.read())[::2]
    wanted = [clip for video in videos for clip in recipe.clips_of(video)]
    features = select_features(CONFIG.features)
    shape = (1, 2, 2, 3)
    for start in range(0, len(wanted), SHARD_ROWS):
        part = wanted[start : start + SHARD_ROWS]
        clips = [
            {
                "clip_id": clip.clip_id,
                "video_id": clip.video_id,
                "recipe_id": recipe.recipe_id,
                "view": 0,
                "start_s": clip.start_s,
                "end_s": clip.end_s,
                "frame_indices": [0],
                "pts_s": [0.0],
                "shape": list(shape),
                "dtype": "uint8",
                "encoding": "raw",
                "frames": [np.zeros(shape[1:], np.uint8).tobytes()],
            }
            for clip in part
        ]
        vectors = [
            {
                "clip_id": clip.clip_id,
                "feature_id": feature.feature_id,
                "video_id": clip.video_id,
                "feature": feature.name,
                "vector": [0.0],
            }
            for clip in part
            for feature in features
        ]
        for table, rows, columns in (
            (dataset.clips, clips, schema.CLIPS),
            (dataset.features, vectors, schema.FEATURES),
        ):
            table.append(
                [write_shard(table.folder, pa.Table.from_pylist(rows, columns), key=table.key)]
            )
    return f"{len(wanted)} clips"


def samples(work: Path, _: int) -> str:
    """The samples of every stored clip, and an epoch's order of them."""
    from videoproc.learning.loader import epoch_order  # torch, which the other steps do not load
    from videoproc.learning.samples import find_samples

    dataset = Dataset(folder=work / "data")
    recipe = Recipe(sampling=CONFIG.sampling, size=CONFIG.size, augmentation=CONFIG.augmentation)
    videos = manifest.from_table(dataset.manifest.read())
    found = find_samples(dataset, recipe=recipe, videos=videos, all_views=True)
    order = epoch_order(len(found), seed=0, epoch=0, shuffle=True)
    return f"{len(order)} samples, an order of {order.nbytes / MIB:.1f} MiB"


def index_videos(work: Path, _: int) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        index(IndexConfig(source=str(work / "videos"), data=str(work / "data")))
    return next(line for line in said.getvalue().splitlines() if "files read" in line)


def extract_videos(work: Path, _: int) -> str:
    said = io.StringIO()
    with redirect_stdout(said):
        extract_job.extract(ExtractConfig(**vars(_config(work)) | {"inline": False}))
    return _of_extract(said.getvalue())


def log(work: Path, count: int) -> dict[str, Any]:
    """Shards of one row into a table that nobody compacts."""
    table = _features(work)
    at, commit_s = [], []
    for start in range(0, count, SHARDS_A_COMMIT):
        shards = [
            write_shard(table.folder, _one_row(i), key=table.key)
            for i in range(start, start + SHARDS_A_COMMIT)
        ]
        commit_s.append(_seconds(lambda shards=shards: table.append(shards)))
        if (start + SHARDS_A_COMMIT) % 1000 == 0:
            entries = list((table.folder / "_delta_log").iterdir())
            anew = _features(work)
            at.append(
                {
                    "shards": start + SHARDS_A_COMMIT,
                    "commit_s": median(commit_s[-20:]),
                    "longest_commit_s": max(commit_s[-50:]),
                    "open_s": _seconds(lambda anew=anew: anew.version),
                    "keys_s": _seconds(anew.keys),
                    "log_mib": sum(path.stat().st_size for path in entries) / MIB,
                    "checkpoints": sum(path.suffix == ".parquet" for path in entries),
                }
            )
    return {"at": at}


def _features(work: Path) -> Table:
    return Dataset(folder=work / "data").features


def _one_row(i: int) -> pa.Table:
    row = {
        "clip_id": schema.content_id(i),
        "feature_id": schema.content_id("feature"),
        "video_id": schema.content_id("video", i),
        "feature": "colour",
        "vector": [0.0],
    }
    return pa.Table.from_pylist([row], schema.FEATURES)


def _seconds(call: Callable[[], object]) -> float:
    started = time.monotonic()
    call()
    return time.monotonic() - started


def _config(work: Path) -> ExtractConfig:
    return ExtractConfig(**vars(CONFIG) | {"data": str(work / "data")})


def _of_extract(said: str) -> str:
    lines = [line for line in said.splitlines() if line.startswith("extract")]
    return lines[0] if lines else ""


STEPS: dict[str, Callable[[Path, int], str | dict[str, Any]]] = {
    "prepare": prepare,
    "plan": plan,
    "fill": fill,
    "index": index_videos,
    "extract": extract_videos,
    "log": log,
    "samples": samples,
}


def main() -> None:
    name, work, count = sys.argv[1:]
    started = time.monotonic()
    said = STEPS[name](Path(work), int(count))
    measured: dict[str, Any] = {
        "elapsed_s": time.monotonic() - started,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        **(said if isinstance(said, dict) else {"said": said}),
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main()
