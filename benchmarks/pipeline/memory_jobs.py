"""The jobs that `benchmarks.pipeline.memory` watches, each in a process that says what it did."""

from __future__ import annotations

import argparse
import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

EVERY_S = 0.1
BATCH = 32
MIB = 1 << 20


def main() -> None:
    job, *flags = sys.argv[1:]
    with watched_store() as store, redirect_stdout(io.StringIO()):
        said = loader(flags) if job == "loader" else run(job, flags)
    print(json.dumps({"said": said, "object_store_mib": max(store, default=0.0)}))


def run(job: str, flags: list[str]) -> dict[str, Any]:
    """A job of pipelines/ with its flags; what it returns, as far as it is figures."""
    from pipelines import cli, extract, index, predict, train

    jobs = {
        "index": (index.index, index.IndexConfig),
        "extract": (extract.extract, extract.ExtractConfig),
        "train": (train.train, train.TrainConfig),
        "predict": (predict.predict, predict.PredictConfig),
    }
    call, config_class = jobs[job]
    done = call(cli.parse(config_class, flags, doc=job))  # type: ignore[operator]
    figures = ("clips", "predictions", "seconds", "busy_s", "idle_s", "hours_decoded", "cores")
    return {name: getattr(done, name) for name in figures if hasattr(done, name)}


def loader(flags: list[str]) -> dict[str, Any]:
    """Epochs of the training's loader over all clips, with its threads."""
    import torch

    from pipelines.extract import stored_config
    from videoproc.corpus import manifest
    from videoproc.learning.loader import batches, epoch_order
    from videoproc.learning.samples import find_samples
    from videoproc.tables import Dataset, Recipe
    from videoproc.tables.clip_reader import read_footer
    from videoproc.tasks import select_task

    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path)
    dataset = Dataset(folder=parser.parse_args(flags).data)
    config = stored_config(dataset)
    recipe = Recipe(sampling=config.sampling, size=config.size, augmentation=config.augmentation)
    videos = manifest.from_table(dataset.manifest.read())
    samples = find_samples(dataset, recipe=recipe, videos=videos, all_views=True)
    targets = select_task("classification").targets
    spec = targets.make_spec([sample.row for sample in samples])
    wall_s, cpu_s, clips = time.perf_counter(), time.process_time(), 0
    for epoch in range(6):
        if epoch == 1:  # the first fills the system's memory
            wall_s, cpu_s, clips = time.perf_counter(), time.process_time(), 0
        order = epoch_order(len(samples), seed=0, epoch=epoch, shuffle=True)
        for batch in batches(
            samples,
            make_batch=lambda rows: targets.make_batch(rows, spec),
            order=order,
            batch_size=BATCH,
            device=torch.device("cpu"),
        ):
            clips += len(batch.clip_ids)
    wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    shards = dataset.clips.files()
    started = time.perf_counter()
    footers = [read_footer.__wrapped__(path) for path in shards]
    return {
        "clips": clips,
        "clips_per_s": clips / wall_s,
        "cpu_s_a_clip": cpu_s / clips,
        "footer_ms": (time.perf_counter() - started) / len(shards) * 1000,
        "footer_kib": sum(f.serialized_size for f in footers) / len(shards) / 1024,
        "clips_a_shard": sum(f.num_rows for f in footers) / len(shards),
    }


@contextmanager
def watched_store() -> Iterator[list[float]]:
    """MiB that objects took in the object stores of the cluster, while there was one."""
    used: list[float] = []
    done = threading.Event()

    def watch() -> None:
        import ray

        while not done.wait(EVERY_S):
            if ray.is_initialized():
                try:
                    whole, free = ray.cluster_resources(), ray.available_resources()
                except Exception:  # noqa: BLE001  the job is about to disconnect
                    continue
                name = "object_store_memory"
                used.append((whole.get(name, 0.0) - free.get(name, 0.0)) / MIB)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield used
    finally:
        done.set()
        thread.join()


if __name__ == "__main__":
    main()
