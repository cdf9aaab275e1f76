"""What jobs count for Prometheus, through Ray's agent on the driver's node.

The driver counts, since it sees every receipt once, and a worker's last words may be lost with it.
Ray puts `ray_` before each name, keeps what a driver counted after its end, and gives each driver
series of its own: `sum` over them is a total, and `rate` says what goes on now.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping
from typing import Any

import ray
from ray.util.metrics import Counter, Gauge

from videoproc.tables.plan import STAGE

# Not `job`: Prometheus means by that what it scrapes, and renames a label that comes with it.
PIPELINE = "pipeline"

COUNTERS = {
    "videoproc_videos_total": ("Videos decoded, or tried", (PIPELINE,)),
    "videoproc_clips_total": ("Clips made, measured or predicted", (PIPELINE,)),
    "videoproc_failures_total": ("Videos that failed", (PIPELINE, "error_class")),
    "videoproc_stage_seconds_total": ("Seconds of workers, by stage", (PIPELINE, "stage")),
    "videoproc_fetched_bytes_total": ("Bytes fetched of remote videos", (PIPELINE,)),
    "videoproc_driver_wait_seconds_total": (
        "Seconds that the driver waited for its workers",
        (PIPELINE,),
    ),
    "videoproc_train_clips_total": ("Clips trained on, by all workers", ("model",)),
    "videoproc_train_seconds_total": ("Seconds of training steps", ("model",)),
    "videoproc_train_data_wait_seconds_total": (
        "Seconds of those that the first worker waited for data",
        ("model",),
    ),
}
GAUGES = {"videoproc_train_epochs": ("Epochs done by the training that runs", ("model",))}


def watch(receipts: Iterator[dict[str, Any]], *, pipeline: str) -> Iterator[dict[str, Any]]:
    """The receipts of a call of `dataflow.run`, counted as they pass; without Ray, as they are."""
    return _counted(receipts, pipeline) if ray.is_initialized() else receipts


def epoch_done(values: Mapping[str, float], *, model: str, epoch: int) -> None:
    """Count an epoch, counted from 0, by the metrics that the training loop reports of it."""
    seconds = values["train/seconds"]
    clips = round(values["train/clips_per_second"] * seconds)
    _add("videoproc_train_clips_total", clips, model=model)
    _add("videoproc_train_seconds_total", seconds, model=model)
    waited = values["train/data_wait_share"] * seconds
    _add("videoproc_train_data_wait_seconds_total", waited, model=model)
    _gauge("videoproc_train_epochs").set(epoch + 1, {"model": model})


def _counted(receipts: Iterator[dict[str, Any]], pipeline: str) -> Iterator[dict[str, Any]]:
    add = functools.partial(_add, pipeline=pipeline)
    seen: set[str] = set()  # a long video's clips come in several receipts
    asked = time.monotonic()
    for receipt in receipts:
        add("videoproc_driver_wait_seconds_total", time.monotonic() - asked)
        stages = {item["step"]: item["seconds"] for item in receipt["seconds"]}
        if STAGE in stages:
            new = set(receipt["video_ids"]) - seen
            seen |= new
            add("videoproc_videos_total", len(new))
        add("videoproc_clips_total", receipt["num_rows"])
        add("videoproc_fetched_bytes_total", receipt["bytes_fetched"])
        for failure in receipt["failures"]:
            add("videoproc_failures_total", 1, error_class=failure["error_class"])
        for stage, seconds in stages.items():
            add("videoproc_stage_seconds_total", seconds, stage=stage)
        yield receipt
        asked = time.monotonic()


def _add(name: str, value: float, **tags: str) -> None:
    if value > 0:  # Ray refuses 0
        _counter(name).inc(value, tags)


@functools.cache
def _counter(name: str) -> Counter:
    description, tags = COUNTERS[name]
    return Counter(name, description=description, tag_keys=tags)


@functools.cache
def _gauge(name: str) -> Gauge:
    description, tags = GAUGES[name]
    return Gauge(name, description=description, tag_keys=tags)
