"""The driver's side of training: what workers report reaches it, whatever happens."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import ray
from ray.util import placement_group, remove_placement_group
from ray.util.queue import Queue

from videoproc.runtime.news import Epoch, Notice, Started, Stopped
from videoproc.runtime.trainer import Waiting, _Listening
from videoproc.runtime.workers import WorkerConfig

pytestmark = pytest.mark.usefixtures("ray_cluster")

ONE_CPU = {"CPU": 1.0}


def put(heard: Queue, *epochs: int) -> None:
    for epoch in epochs:
        heard.put(Epoch({"val/loss": 1.0 / (epoch + 1)}, epoch))


def waiting(said: list[str], *, workers: int = 2, **settings: object) -> Waiting:
    config = WorkerConfig(workers=workers, **settings)  # type: ignore[arg-type]
    return Waiting(workers=config, needs=ONE_CPU, say=said.append)


def make_queue() -> Queue:
    return Queue(actor_options={"num_cpus": 0, "max_restarts": -1})


def test_reports_arrive_in_order_and_what_is_left_at_the_end_too() -> None:
    taken: list[int] = []
    heard = make_queue()
    with _Listening(heard, lambda _, epoch: taken.append(epoch), waiting([])):
        put(heard, *range(20))
    assert taken == list(range(20))


def test_reports_go_on_where_the_queues_process_dies() -> None:
    taken: list[int] = []
    heard = make_queue()
    with _Listening(heard, lambda _, epoch: taken.append(epoch), waiting([])):
        put(heard, 0)
        while not taken:
            time.sleep(0.01)
        pid = ray.get(heard.actor.__ray_call__.remote(lambda _: os.getpid()))
        os.kill(pid, signal.SIGKILL)
        while True:
            try:
                put(heard, 1)
                break
            except ray.exceptions.RayActorError:
                time.sleep(0.1)
    assert taken == [0, 1]


def test_what_the_drivers_record_raises_is_raised_and_not_lost() -> None:
    def record(_: dict[str, float], epoch: int) -> None:
        if epoch == 1:
            raise OSError("disk is full")

    heard = make_queue()
    with (
        pytest.raises(OSError, match="disk is full"),
        _Listening(heard, record, waiting([])),
    ):
        put(heard, 0, 1, 2)


def test_the_workers_own_error_comes_first() -> None:
    def record(*_: object) -> None:
        raise OSError("disk is full")

    heard = make_queue()
    with (
        pytest.raises(RuntimeError, match="out of memory"),
        _Listening(heard, record, waiting([])),
    ):
        put_and_fail(heard)


def put_and_fail(heard: Queue) -> None:
    put(heard, 0)
    raise RuntimeError("out of memory")


def test_workers_that_start_at_once_are_not_spoken_of() -> None:
    said: list[str] = []
    watch = waiting(said)
    watch.look()
    watch.hear(Started(2))
    watch.look()
    assert said == []


@contextmanager
def queued(workers: int) -> Iterator[None]:
    """So many workers of one core each in Ray's queue, as Ray Train puts them there."""
    group = placement_group([ONE_CPU] * workers)
    yield
    remove_placement_group(group)


def test_what_is_waited_for_is_said_once_a_minute() -> None:
    said: list[str] = []
    watch = waiting(said)
    watch.since = time.monotonic() - 30
    with queued(4):
        for _ in range(3):
            watch.look()
        watch.said -= 61
        watch.look()
    assert len(said) == 2
    assert said[0] == said[1]
    assert said[0].startswith("waits for room: 2 worker(s) take 1 CPU each, and ")
    watch.hear(Started(2))
    assert said[2:] == ["2 worker(s) train"]


def test_nodes_that_are_not_there_are_waited_for_by_name() -> None:
    said: list[str] = []
    watch = waiting(said, workers=9)
    watch.since = time.monotonic() - 30
    watch.look()
    assert said == [
        "waits for nodes: workers is 9 with 1 CPU each, and the 1 node(s) have room for 3"
    ]


def test_what_is_waited_for_when_a_node_has_gone_with_notice_is_said_too() -> None:
    said: list[str] = []
    watch = waiting(said)
    watch.hear(Started(2))
    watch.hear(Notice(("0123456789",), 28.4))
    with queued(4):
        watch.look()
        assert len(said) == 1
        assert watch.since is not None
        watch.since -= 60
        watch.look()
    assert said[1].startswith("waits for room: ")


def test_what_befalls_the_workers_is_said_once() -> None:
    said: list[str] = []
    watch = waiting(said, workers=3, min_workers=1)
    watch.hear(Started(3))
    watch.hear(Notice(("0123456789",), 28.4))
    watch.hear(Stopped("worker 1 died"))
    watch.hear(Stopped("worker 1 died"))
    watch.hear(Started(2))
    assert said == [
        "node(s) 01234567 go in 28 s: checkpoint now",
        "worker 1 died: the workers start again from the last checkpoint",
        "2 worker(s) go on from the last checkpoint",
    ]
