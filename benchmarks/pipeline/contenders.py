"""The ways to get 16 frames of each of many videos, each run in a process of its own.

    python -m benchmarks.pipeline.contenders NAME DATA LIST COUNT

DATA is a dataset that `index` has made of the videos that LIST names, one path a line; COUNT of
them are read, by extract all. Said is how many videos were read in `read_s`: from the first task,
the imports of all processes done, to the last result; of Ray's contenders the start of Ray's
workers is in it, since Ray starts them with their first task.
"""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import av
import numpy as np

from videoproc.media import Sampling, Size, read_clips

FRAMES, SIDE = 16, 112
SAMPLING, SIZE = Sampling(num_frames=FRAMES), Size(height=SIDE, width=SIDE)
CHECKED = 10  # videos whose frames are compared
SAME_LEVELS = 4.0  # of 255, at most: scalers differ by 1 to 3, neighbouring frames by more
CORES = os.cpu_count() or 1

OURS = "extract"
OURS_FEWER = "extract, fewer videos"
OURS_FEATURES = "extract with features"
BARE = "bare decoders"
READ_VIDEOS = "ray.data.read_videos"
POOL = "pool of PyAV loops"
ONE = "one PyAV loop"


def extract(data: Path, paths: Sequence[str], features: tuple[str, ...] = ()) -> dict[str, Any]:
    """The job as it is: frames in the table `clips`, committed. `job_s` has the start of Ray, the
    plan, the run in MLflow and the joining of shards as well."""
    from pipelines.extract import ExtractConfig
    from pipelines.extract import extract as job

    with redirect_stdout(io.StringIO()) as said:
        done = job(ExtractConfig(data=str(data), sampling=SAMPLING, size=SIZE, features=features))
    if done.failures or done.clips != len(paths):
        raise RuntimeError(f"{done.clips} clips of {len(paths)} videos: {said.getvalue()}")
    return {
        "read_s": done.busy_s,
        "job_s": done.elapsed_s,
        "worker_s": dict(done.seconds),
        "idle_core_s": done.idle_s,
    }


def extract_with_features(data: Path, paths: Sequence[str]) -> dict[str, Any]:
    """The same with the features that are computed by default."""
    return extract(data, paths, features=("colour", "motion"))


def bare_decoders(_: Path, paths: Sequence[str]) -> dict[str, Any]:
    """A process a core, each in a loop over what is left: no Ray, no isolation, no tables."""
    context = multiprocessing.get_context("spawn")
    barrier, taken = context.Barrier(CORES + 1), context.Value("q", 0)
    decoders = [
        context.Process(target=_decode_next, args=(paths, taken, barrier)) for _ in range(CORES)
    ]
    for decoder in decoders:
        decoder.start()
    barrier.wait()
    started = time.monotonic()
    for decoder in decoders:
        decoder.join()
    if any(decoder.exitcode for decoder in decoders):
        raise RuntimeError("a bare decoder has failed")
    return {"read_s": time.monotonic() - started}


def _decode_next(paths: Sequence[str], taken: Synchronized[int], barrier: Barrier) -> None:
    barrier.wait()
    while True:
        with taken.get_lock():
            number, taken.value = taken.value, taken.value + 1
        if number >= len(paths):
            return
        read_engine(paths[number])


def read_videos(_: Path, paths: Sequence[str]) -> dict[str, Any]:
    """Ray's own reader with scaling in decord, and a map that keeps the frames wanted. Nothing is
    written. It is told how many frames each video has, which its users would have to find out."""
    import ray

    wanted = {path: set(_middles(_num_frames(path))) for path in paths}

    def keep(batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        pairs = zip(batch["path"], batch["frame_index"], strict=True)
        kept = [index in wanted[path] for path, index in pairs]
        return {name: column[kept] for name, column in batch.items()}

    ray.init(num_cpus=CORES, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    ray.data.DataContext.get_current().enable_progress_bars = False
    started = time.monotonic()
    frames = ray.data.read_videos(list(paths), resize=(SIDE, SIDE), include_paths=True)
    num_frames = sum(
        bundle.num_rows() or 0 for bundle in frames.map_batches(keep).iter_internal_ref_bundles()
    )
    read_s = time.monotonic() - started
    if num_frames != FRAMES * len(paths):
        raise RuntimeError(f"{num_frames} frames of {len(paths)} videos")
    return {"read_s": read_s}


def pool(_: Path, paths: Sequence[str]) -> dict[str, Any]:
    """A process a core, one video after the other from a common list, frames handed back."""
    with multiprocessing.get_context("spawn").Pool(CORES) as workers:
        workers.map(_import, range(4 * CORES), chunksize=1)
        started = time.monotonic()
        for _ in workers.imap_unordered(read_loop, paths):
            pass
        return {"read_s": time.monotonic() - started}


def _import(_: int) -> None:
    time.sleep(0.2)  # so that no worker takes the imports of all upon itself


def one(_: Path, paths: Sequence[str]) -> dict[str, Any]:
    """The same loop in this process."""
    started = time.monotonic()
    for path in paths:
        read_loop(path)
    return {"read_s": time.monotonic() - started}


def read_engine(path: str) -> np.ndarray:
    """(16, 112, 112, 3) uint8, as the pipeline decodes it."""
    (clip,) = read_clips(path, sampling=SAMPLING, size=SIZE)
    return clip.frames_thwc


def read_loop(path: str, *, frames: int = FRAMES, side: int = SIDE) -> np.ndarray:
    """(frames, side, side, 3) uint8 by the loop that one writes first: every frame as full-size
    RGB."""
    import cv2

    cv2.setNumThreads(1)
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"  # a core has its own process: threads would take from others
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    picked = [decoded[i] for i in _middles(len(decoded), frames)]
    return np.stack([cv2.resize(f, (side, side), interpolation=cv2.INTER_AREA) for f in picked])


def read_decord(path: str) -> np.ndarray:
    """(16, 112, 112, 3) uint8, as Ray's reader gives them."""
    from decord import VideoReader

    reader = VideoReader(path, width=SIDE, height=SIDE)
    frames = [frame.asnumpy() for frame in reader]
    return np.stack([frames[i] for i in _middles(len(frames))])


def check(_: Path, paths: Sequence[str]) -> dict[str, Any]:
    """Mean absolute difference of the peers' frames from the engine's, in levels of 255: far apart
    would be other frames, a little is how scalers differ."""

    def difference(read: Callable[[str], np.ndarray]) -> float:
        pairs = [(read(path).astype(np.int16), frames) for path, frames in ours]
        found = float(np.mean([np.abs(theirs - frames).mean() for theirs, frames in pairs]))
        if found > SAME_LEVELS:
            raise RuntimeError(f"{read.__name__} reads other frames: {found:.1f} levels apart")
        return found

    ours = [(path, read_engine(path).astype(np.int16)) for path in paths[:CHECKED]]
    return {POOL: difference(read_loop), READ_VIDEOS: difference(read_decord)}


def _middles(num_frames: int, wanted: int = FRAMES) -> list[int]:
    return [(2 * i + 1) * num_frames // (2 * wanted) for i in range(wanted)]


def _num_frames(path: str) -> int:
    with av.open(path) as container:
        return container.streams.video[0].frames


CONTENDERS: dict[str, Callable[[Path, Sequence[str]], dict[str, Any]]] = {
    OURS: extract,
    BARE: bare_decoders,
    OURS_FEWER: extract,
    OURS_FEATURES: extract_with_features,
    READ_VIDEOS: read_videos,
    POOL: pool,
    ONE: one,
}


def main() -> None:
    name, data, listed, count = sys.argv[1:]
    paths = Path(listed).read_text().splitlines()[: int(count)]
    said = {"check": check, **CONTENDERS}[name](Path(data), paths)
    print(json.dumps({"videos": len(paths), **said}))


if __name__ == "__main__":
    main()
