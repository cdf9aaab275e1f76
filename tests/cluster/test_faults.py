"""What fails while data is made on three Ray nodes, by real kills and real outages: whatever it is,
the tables end as one process makes them, and what was committed is not made again."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil
import pytest

from cluster import nodes
from tests.cluster.three_nodes import (
    EXTRACT,
    NODES,
    Nodes,
    assert_equal,
    cluster_in,
    decoders,
    kill_all_but_decoders,
    wait_for,
)
from tests.gate import Gate, gate_to
from tests.runlog.conftest import Server
from videoproc import runlog, storage
from videoproc.storage import Anywhere, at
from videoproc.tables import Dataset

pytestmark = pytest.mark.slow

OUTAGE_S = 20.0
SILENCE_S = 5.0


@pytest.fixture(scope="module")
def gate(s3_endpoint: str) -> Iterator[Gate]:
    """The way to the S3 server, for this module's tests and for the nodes of its cluster, which
    have the keys in their environment."""
    with gate_to(s3_endpoint) as gate, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", gate.url)
        patch.setenv("AWS_ACCESS_KEY_ID", "test-key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield gate


@pytest.fixture(scope="module")
def three(gate: Gate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:  # noqa: ARG001
    """Three nodes for the faults that they outlive."""
    with cluster_in(tmp_path_factory.mktemp("faults") / "workspace") as three:
        yield three


def submit_extract(
    three: Nodes, data: object, *, flags: Sequence[str] = EXTRACT, mlflow: str | None = None
) -> subprocess.Popen[str]:
    more = {"MLFLOW_TRACKING_URI": mlflow} if mlflow else {}
    return three.start("-m", "cluster", "submit", "extract", "--data", str(data), *flags, more=more)


def finish(job: subprocess.Popen[str]) -> str:
    said, _ = job.communicate(timeout=250)
    assert job.returncode == 0, said
    return said


def num_clips(data: Anywhere) -> int:
    """How many are committed."""
    return Dataset(folder=data).clips.read(["clip_id"]).num_rows


def wait_for_clips(data: Anywhere, job: subprocess.Popen[str], *, more_than: int = 0) -> int:
    wait_for(lambda: job.poll() is not None or num_clips(data) > more_than)
    assert job.poll() is None, job.communicate()[0]
    return num_clips(data)


def in_quarantine(data: Anywhere) -> dict[str, str]:
    """Why, by video; the corpus has a file of each special kind."""
    rows = Dataset(folder=data).quarantine.read()
    return dict(zip(*(rows[name].to_pylist() for name in ("video_id", "message")), strict=True))


def drivers(three: Nodes, data: Path) -> list[psutil.Process]:
    """The processes of a submitted job's own, without the shell that started it."""
    return [
        process
        for process in nodes.processes_of(three.workspace, node=1)
        if {"pipelines.extract", str(data)} <= set(process.cmdline())
    ]


def assert_none_was_made_twice(data: Anywhere) -> None:
    table = Dataset(folder=data).clips
    ever = [row for part in table.ever() for row in part["clip_id"].to_pylist()]
    joined = sum(bool(removed) for _, _, removed in table.history())
    assert len(ever) == len(set(ever)) * (1 + joined)


def test_a_killed_worker_and_a_killed_decoder_cost_no_row(
    three: Nodes, indexed: Path, one_process: Path
) -> None:
    job = submit_extract(three, indexed)
    wait_for(lambda: bool(decoders(three, node=3)))
    psutil.Process(decoders(three, node=3).pop()).kill()
    wait_for(lambda: bool(decoders(three, node=2)))
    worker = psutil.Process(decoders(three, node=2).pop()).parent()
    assert worker is not None
    worker.kill()
    finish(job)
    assert_equal(indexed, one_process)
    assert in_quarantine(indexed) == in_quarantine(one_process)


def test_a_killed_driver_ends_its_job_and_the_next_one_goes_on_from_there(
    three: Nodes, indexed: Path, one_process: Path
) -> None:
    job = submit_extract(three, indexed)
    wait_for_clips(indexed, job)
    for driver in drivers(three, indexed):
        driver.kill()
    said, _ = job.communicate(timeout=100)
    assert job.returncode not in (0, None), said
    assert "Traceback" not in said
    assert re.search(r"failed", said.splitlines()[-1])
    wait_for(lambda: not any(decoders(three, node=node) for node in NODES))

    committed = num_clips(indexed)
    assert committed
    said = finish(submit_extract(three, indexed))
    assert f"{committed} clips are in already" in said
    assert_equal(indexed, one_process)
    assert_none_was_made_twice(indexed)


@pytest.fixture
def in_bucket(gate: Gate, corpus: Path, tmp_path: Path) -> tuple[Anywhere, Anywhere]:  # noqa: ARG001
    """A dataset of a corpus in a bucket with a manifest only, and one as one process makes it."""
    import boto3

    name = "faults"
    boto3.client("s3").create_bucket(Bucket=name)
    place = at(f"s3://{name}")
    for file in sorted(corpus.rglob("*")):
        if file.is_file():
            storage.write_whole(place / f"corpus/{file.relative_to(corpus)}", file.read_bytes())
    alone = Nodes(tmp_path / "alone")
    source = ("--source", f"s3://{name}/corpus/videos.csv", "--layout", "csv")
    code, said = alone.run("-m", "pipelines.index", "--data", f"s3://{name}/data", *source)
    assert code == 0, said
    for file in storage.files_below(place / "data"):
        copy = place / "wanted" / file.path.relative_to(place / "data")
        storage.write_whole(copy, file.path.read_bytes())
    flags = ("--data", f"s3://{name}/wanted", *EXTRACT, "--inline")
    code, said = alone.run("-m", "pipelines.extract", *flags)
    assert code == 0, said
    return place / "data", place / "wanted"


def test_an_object_store_that_is_down_for_a_while_costs_no_row_and_no_video(
    three: Nodes, gate: Gate, in_bucket: tuple[Anywhere, Anywhere]
) -> None:
    """It hangs at first, and later is gone for 20 seconds; corpus and tables are in it."""
    data, wanted = in_bucket
    job = submit_extract(three, data)
    there = wait_for_clips(data, job)
    with gate.silent():
        time.sleep(SILENCE_S)
    wait_for_clips(data, job, more_than=there)
    with gate.refusing():
        time.sleep(OUTAGE_S)
        assert job.poll() is None
    finish(job)
    assert_equal(data, wanted)
    assert in_quarantine(data) == in_quarantine(wanted)
    assert_none_was_made_twice(data)


def test_without_mlflow_a_job_is_done_and_its_run_comes_later(
    three: Nodes, extracted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, made = tmp_path / "again", shutil.ignore_patterns("clips", "features", "quarantine")
    shutil.copytree(extracted, data, ignore=made)
    server = Server(tmp_path)
    flags = ("--sampling.num_frames", "4", "--size.height", "16", "--size.width", "16")
    said = finish(submit_extract(three, data, flags=flags, mlflow=server.uri))
    told = [line for line in said.splitlines() if "MLflow does not answer" in line]
    assert len(told) == 1
    assert str(three.workspace / "journal") in told[0]
    assert_equal(data, extracted)
    try:
        server.start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
        assert runlog.replay(three.workspace) == 1
        (run,) = server.runs(data)
    finally:
        server.kill()
    assert run.info.status == "FINISHED"
    assert run.data.params["sampling.num_frames"] == "4"
    assert run.data.metrics["clips"] == num_clips(data)
    assert run.data.tags["job"] == "extract"
    assert run.data.tags["table_version.clips"] == str(Dataset(folder=data).clips.version)


def test_a_lost_node_costs_no_row_and_leaves_no_process(
    indexed: Path, one_process: Path, tmp_path: Path
) -> None:
    shared_memory = set(Path("/dev/shm").glob("plasma*"))
    with cluster_in(tmp_path / "workspace") as three:
        job = three.start("-m", "cluster", "submit", "extract", "--data", str(indexed), *EXTRACT)
        wait_for(lambda: bool(decoders(three, node=3)))
        kill_all_but_decoders(three, node=3)
        wait_for(lambda: not nodes.processes_of(three.workspace, node=3))
        finish(job)
        gone = next(node_id for node_id, number in three.numbers().items() if number == 3)
        lost = [task for task in three.ask("tasks") if task["node_id"] == gone]
        assert "FAILED" in {task["state"] for task in lost}, "it had work when it was killed"
        wait_for(lambda: three.command("status").splitlines()[3] == "node 3: dead")
        assert "added 1 to 2 nodes" in three.command("up")
        assert three.command("status").splitlines()[3].startswith("node 3: 1 CPU, ")
        temp_dir = Path(three.state.temp_dir)
        three.command("down")
        assert not nodes.processes_of(three.workspace)
        assert not temp_dir.exists()
        assert set(Path("/dev/shm").glob("plasma*")) <= shared_memory
    assert_equal(indexed, one_process)


def test_a_lost_head_ends_client_and_nodes_and_a_new_cluster_goes_on_from_there(
    indexed: Path, one_process: Path, tmp_path: Path
) -> None:
    with cluster_in(tmp_path / "workspace") as three:
        job = submit_extract(three, indexed)
        wait_for_clips(indexed, job)
        kill_all_but_decoders(three, node=1)
        said, _ = job.communicate(timeout=200)
        assert job.returncode not in (0, None)
        assert "Traceback" not in said
        assert len([line for line in said.splitlines() if line.startswith("error: ")]) == 1
        wait_for(lambda: not nodes.processes_of(three.workspace), timeout_s=200)
        committed = num_clips(indexed)
        three.command("up", "--cpus", "3")
        said = finish(submit_extract(three, indexed))
        assert f"{committed} clips are in already" in said
    assert_equal(indexed, one_process)
    assert_none_was_made_twice(indexed)
