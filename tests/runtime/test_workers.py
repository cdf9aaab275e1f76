"""Where workers fit, and what is said where they do not."""

from __future__ import annotations

from typing import Any

import pytest

from videoproc.runtime.placement import Placement
from videoproc.runtime.workers import WorkerConfig, fair_share, needs_of_each, places
from videoproc.types import UserError


@pytest.mark.parametrize(
    ("nodes", "workers", "each"),
    [([16, 16], 1, 16), ([16, 16], 3, 8), ([4], 2, 2), ([2], 3, 1), ([8, 2], 2, 4), ([], 2, 1)],
)
def test_a_workers_cores_fit_on_one_node(nodes: list[int], workers: int, each: int) -> None:
    assert fair_share([{"CPU": cpus} for cpus in nodes], {}, workers=workers) == each


def test_cores_are_shared_out_where_the_gpus_are() -> None:
    nodes = [{"CPU": 64}, {"CPU": 16, "GPU": 4}]
    assert fair_share(nodes, {"GPU": 1}, workers=4) == 4


def test_the_scarcest_need_decides_how_many_workers_a_node_holds() -> None:
    node = {"CPU": 16, "GPU": 4, "memory": 30e9, "train": 1}
    assert places([node], {"CPU": 2}) == 8
    assert places([node], {"CPU": 2, "memory": 10e9}) == 3
    assert places([node, node], {"CPU": 2, "train": 0.5}) == 4
    assert places([node], {"CPU": 2, "elsewhere": 1}) == 0


@pytest.mark.usefixtures("ray_cluster")
def test_each_worker_takes_what_the_placement_says() -> None:
    placement = Placement(memory_bytes=1000)
    assert needs_of_each(WorkerConfig(workers=3, placement=placement)) == {"CPU": 1, "memory": 1000}


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"workers": 9}, "workers is 9 with 1 CPU each, and the 1 node.s. have room for 3"),
        (
            {"workers": 9, "min_workers": 4},
            "workers is 9 and min_workers 4 with 1 CPU each, and the 1 node.s. have room for 3",
        ),
        ({"gpu": "true"}, "workers is 1 with 1 CPU, 1 GPU each, and .* have room for 0"),
        (
            {"placement": Placement(labels={"videoproc/role": "train"})},
            "the 0 node.s. with labels {'videoproc/role': 'train'} have room for 0",
        ),
        (
            {"placement": Placement(resources={"train": 1})},
            "workers is 1 with 1 CPU, 1 train each, and .* have room for 0",
        ),
        (
            {"placement": Placement(memory_bytes=10**15)},
            "with 1 CPU, 1000000.00 GB of memory each, and .* have room for 0",
        ),
    ],
)
def test_too_small_a_cluster_is_refused_with_what_is_missing(
    settings: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(UserError, match=complaint):
        needs_of_each(WorkerConfig(**settings))


@pytest.mark.usefixtures("ray_cluster")
def test_with_fewer_allowed_a_cluster_for_fewer_will_do() -> None:
    assert needs_of_each(WorkerConfig(workers=9, min_workers=2)) == {"CPU": 1}


@pytest.mark.parametrize("number", [0, 4])
def test_the_fewest_workers_are_between_one_and_all(number: int) -> None:
    with pytest.raises(ValueError, match=f"min_workers is {number}: use a number from 1 to"):
        WorkerConfig(workers=3, min_workers=number)
