"""Where jobs run on three Ray nodes of this machine: on the nodes that config names, on those that
join meanwhile, and beside each other. The nodes have the labels node=1, 2 and 3, and a CPU each."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.cluster.three_nodes import (
    EXTRACT,
    Nodes,
    assert_equal,
    cluster_in,
    decoders,
    tasks_by_node,
    wait_for,
)
from videoproc.tables import Dataset

pytestmark = pytest.mark.slow

DECODE_ON_2 = ("--placement.labels", json.dumps({"node": "2"}))


def test_decoding_stays_on_the_nodes_that_config_names(
    three: Nodes, indexed: Path, one_process: Path
) -> None:
    command = ("-m", "pipelines.extract", "--data", str(indexed), *EXTRACT, *DECODE_ON_2)
    code, said = three.run(*command, more=three.exports())
    assert code == 0, said
    assert_equal(indexed, one_process)
    assert tasks_by_node(three, of="MapBatches") == {2}


def test_what_no_node_has_ends_the_job_at_once_in_one_line(three: Nodes, indexed: Path) -> None:
    nowhere = ("--placement.labels", json.dumps({"videoproc/role": "decode"}))
    command = ("-m", "pipelines.extract", "--data", str(indexed), *EXTRACT, *nowhere)
    code, said = three.run(*command, more=three.exports())
    assert code == 2
    (line,) = said.splitlines()
    assert "needs a node with videoproc/role=decode that has 1 CPU" in line
    for number in (1, 2, 3):
        assert f"(node={number})" in line


def test_data_work_and_a_training_that_comes_meanwhile_both_end(
    three: Nodes, indexed: Path, one_process: Path, tmp_path: Path
) -> None:
    extracted = shutil.copytree(one_process, tmp_path / "extracted")
    before = decoders(three, node=1)
    exports = three.exports()
    extract = three.start("-m", "pipelines.extract", "--data", str(indexed), *EXTRACT, more=exports)
    wait_for(lambda: bool(decoders(three, node=1) - before) or extract.poll() is not None)
    learning = ("--model", "cnn_gru", "--loop.epochs", "1", "--loop.batch_size", "32")
    command = ("-m", "pipelines.train", "--data", str(extracted), "--workers", "2", *learning)
    code, said = three.run(*command, more=exports)
    assert code == 0, said
    said, _ = extract.communicate(timeout=200)
    assert extract.returncode == 0, said
    assert_equal(indexed, one_process)


def test_a_node_that_joins_takes_part_in_a_job_that_runs(
    indexed: Path, one_process: Path, tmp_path: Path
) -> None:
    """With so many views that one core is busy for longer than a node takes to come up."""
    with cluster_in(tmp_path / "workspace", number=2) as two:
        place = ("--placement.labels", json.dumps({"node": "in(2,3)"}))
        command = ("-m", "pipelines.extract", "--data", str(indexed), *EXTRACT, *place)
        job = two.start(*command, "--augmentation.views", "240", more=two.exports())
        wait_for(lambda: bool(decoders(two, node=2)) or job.poll() is not None)
        two.command("up", "--nodes", "3")
        wait_for(lambda: bool(decoders(two, node=3)) or job.poll() is not None)
        said, _ = job.communicate(timeout=200)
        assert job.returncode == 0, said
        made, wanted = (Dataset(folder=data).clips.keys() for data in (indexed, one_process))
        assert len(made) == 10 * len(wanted)
        assert 3 in tasks_by_node(two, of="MapBatches")
