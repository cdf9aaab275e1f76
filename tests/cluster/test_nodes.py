"""Three Ray nodes on this machine: what they share out, and what jobs make of them.

One CPU each, so that two workers of a training stand on two nodes.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cluster import nodes
from tests.cluster.three_nodes import (
    EXTRACT,
    NODES,
    Nodes,
    assert_equal,
    tasks_by_node,
)

pytestmark = pytest.mark.slow


def test_status_names_each_node_and_what_it_has(three: Nodes) -> None:
    said = three.command("status").splitlines()
    assert len(said) == 4
    assert said[0].startswith("Ray at 127.0.0.1:")
    for number, line in enumerate(said[1:], start=1):
        name = f"node {number}" + (" (head)" if number == 1 else "")
        assert line.startswith(f"{name}: 1 CPU, ")


def test_fewer_nodes_than_are_up_are_refused_in_one_line(three: Nodes) -> None:
    code, said = three.run("-m", "cluster", "up", "--nodes", "2")
    assert code == 2
    assert said.count("\n") == 1
    assert "nodes=3" in said
    assert "make cluster-down" in said


def test_a_driver_sees_three_nodes_and_can_choose_one(three: Nodes) -> None:
    program = """
        import json, ray
        ray.init(logging_level="ERROR")
        here = ray.remote(lambda: ray.get_runtime_context().get_node_id())
        chosen = [here.options(label_selector={"node": str(n)}).remote() for n in (1, 2, 3)]
        print("SEEN" + json.dumps([ray.nodes(), ray.get(chosen)]))
    """
    program = "\n".join(line.strip() for line in program.splitlines())
    code, said = three.run("-c", program, more=three.exports())
    assert code == 0, said
    line = next(line for line in said.splitlines() if line.startswith("SEEN"))
    seen, chosen = json.loads(line.removeprefix("SEEN"))
    assert {node["Labels"][nodes.LABEL] for node in seen if node["Alive"]} == {"1", "2", "3"}
    assert [node["Resources"]["CPU"] for node in seen] == [1, 1, 1]
    assert [three.numbers()[node_id] for node_id in chosen] == [1, 2, 3]


def test_a_submitted_job_runs_on_every_node_and_its_tables_equal_one_process(
    three: Nodes, corpus: Path, one_process: Path, tmp_path: Path
) -> None:
    data = str(tmp_path / "submitted")
    source = ("--source", str(corpus / "videos.csv"), "--layout", "csv")
    three.command("submit", "index", "--data", data, *source)
    three.command("submit", "extract", "--data", data, *EXTRACT)
    assert_equal(Path(data), one_process)
    assert tasks_by_node(three, of="MapBatches") == NODES
