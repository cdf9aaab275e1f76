"""The driver's side of training: what workers report reaches it, whatever happens."""

from __future__ import annotations

import pytest
from ray.util.queue import Queue

from videoproc.runtime.trainer import _Drained, fair_share

pytestmark = pytest.mark.usefixtures("ray_cluster")


def put(metrics: Queue, *epochs: int) -> None:
    for epoch in epochs:
        metrics.put(({"val/loss": 1.0 / (epoch + 1)}, epoch))


def test_reports_arrive_in_order_and_what_is_left_at_the_end_too() -> None:
    taken: list[int] = []
    metrics = Queue(actor_options={"num_cpus": 0})
    with _Drained(metrics, lambda _, epoch: taken.append(epoch)):
        put(metrics, *range(20))
    assert taken == list(range(20))


def test_what_the_drivers_record_raises_is_raised_and_not_lost() -> None:
    def record(_: dict[str, float], epoch: int) -> None:
        if epoch == 1:
            raise OSError("disk is full")

    metrics = Queue(actor_options={"num_cpus": 0})
    with pytest.raises(OSError, match="disk is full"), _Drained(metrics, record):
        put(metrics, 0, 1, 2)


def test_the_workers_own_error_comes_first() -> None:
    def record(*_: object) -> None:
        raise OSError("disk is full")

    metrics = Queue(actor_options={"num_cpus": 0})
    with pytest.raises(RuntimeError, match="out of memory"), _Drained(metrics, record):
        put_and_fail(metrics)


def put_and_fail(metrics: Queue) -> None:
    put(metrics, 0)
    raise RuntimeError("out of memory")


@pytest.mark.parametrize(
    ("nodes", "workers", "each"),
    [([16, 16], 1, 16), ([16, 16], 3, 8), ([4], 2, 2), ([2], 3, 1), ([8, 2], 2, 4)],
)
def test_a_workers_cores_fit_on_one_node(nodes: list[int], workers: int, each: int) -> None:
    assert fair_share(nodes, workers=workers) == each
