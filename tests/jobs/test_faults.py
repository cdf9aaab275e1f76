"""What lies below the jobs fails: a clear line, an exit code, and what was good is good after."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gate import gate_to
from videoproc import storage
from videoproc.storage import at
from videoproc.tables import Dataset

PROJECT = Path(__file__).parents[2]


def run(job, *arguments, **environment):
    """A job as a user runs it: exit code, what it said, and its errors."""
    done = subprocess.run(
        [sys.executable, "-m", f"pipelines.{job}", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(PROJECT)} | environment,
        capture_output=True,
        text=True,
        timeout=200,
    )
    return done.returncode, done.stdout, done.stderr


def errors(stderr):
    assert "Traceback" not in stderr
    return [line for line in stderr.splitlines() if line.startswith("error: ")]


def rows(data):
    dataset = Dataset(folder=data)
    return {
        name: table.read().sort_by([(column, "ascending") for column in table.key])
        for name, table in (("clips", dataset.clips), ("features", dataset.features))
    }


def mount(folder, *options):
    """A small file system of its own; the test is skipped, saying so, where that is refused."""
    folder.mkdir(exist_ok=True)
    command = ["mount", *options, "-t", "tmpfs", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"mounting a small tmpfs is refused here: {getattr(error, 'stderr', error)}")


def remount(folder, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 3 MiB."""
    mount(tmp_path / "disk", "-o", "size=3m")
    yield tmp_path / "disk"
    subprocess.run(["umount", "-l", str(tmp_path / "disk")], check=True)


@pytest.fixture
def many(tmp_path, write_small):
    """Thirty videos, whose clips are 3.4 MB at 48x48."""
    for i in range(30):
        write_small(tmp_path / "many" / ("walk", "run")[i % 2] / f"{i}.mp4", i)
    return tmp_path / "many"


FLAGS = ("--size.height", 48, "--size.width", 48, "--sampling.num_frames", 16)


@pytest.mark.slow
@pytest.mark.parametrize("where", [("--inline",), ()], ids=["inline", "ray"])
def test_a_full_disk_ends_the_job_in_a_line_and_with_room_it_goes_on(
    small_disk, many, tmp_path, where
):
    data = small_disk / "data"
    assert run("index", "--source", many, "--data", data)[0] == 0
    flags = ("--data", data, *FLAGS, "--commit_every_s", 0, *where)

    code, _, said = run("extract", *flags)
    assert code == 1
    (line,) = errors(said)
    assert re.search(r"the system refuses: No space left on device.* run the job again", line)
    there = rows(data)["clips"]
    assert there.num_rows < 30
    assert list(small_disk.rglob("*.tmp")) == [], "a full disk is not filled further"

    remount(small_disk, "size=60m")
    code, said, _ = run("extract", *flags)
    assert code == 0
    if there.num_rows:
        assert f"{there.num_rows} clips are in already" in said
    assert run("index", "--source", many, "--data", tmp_path / "undisturbed")[0] == 0
    assert run("extract", "--data", tmp_path / "undisturbed", *FLAGS, "--inline")[0] == 0
    for name, wanted in rows(tmp_path / "undisturbed").items():
        assert rows(data)[name].equals(wanted), name


@pytest.mark.slow
def test_a_read_only_dataset_or_workspace_is_a_line_and_stays_as_it_was(
    small_disk, videos, tmp_path
):
    data = small_disk / "data"
    assert run("index", "--source", videos, "--data", data)[0] == 0
    remount(small_disk, "ro")
    before = Dataset(folder=data).manifest.read()

    code, _, said = run("extract", "--data", data, "--inline")
    assert code == 1
    assert "Read-only file system" in errors(said)[0]
    code, _, said = run(
        "index", "--source", videos, "--data", tmp_path / "other",
        VIDEOPROC_WORKSPACE=str(small_disk / "workspace"),
    )  # fmt: skip
    assert code == 1
    assert "Read-only file system" in errors(said)[0]
    assert Dataset(folder=data).manifest.read().equals(before)


@pytest.mark.slow
def test_a_store_that_stays_away_ends_the_job_in_a_line_and_blames_no_video(
    bucket, s3_endpoint, videos, tmp_path
):
    for file in videos.rglob("*.mp4"):
        storage.write_whole(at(bucket) / str(file.relative_to(videos)), file.read_bytes())
    data = tmp_path / "data"
    with gate_to(s3_endpoint) as gate:
        there = {"AWS_ENDPOINT_URL": gate.url}
        assert run("index", "--source", bucket, "--data", data, **there)[0] == 0
        with gate.refusing():
            there["VIDEOPROC_STORE_PATIENCE_S"] = "0.5"
            code, _, said = run("extract", "--data", data, *FLAGS, **there)
        assert code == 1
        (line,) = errors(said)
        assert re.search(rf"object store does not answer for {bucket}/.*run the job again", line)
        assert Dataset(folder=data).quarantine.version == -1
        assert run("extract", "--data", data, *FLAGS, **there)[0] == 0
    assert len(rows(data)["clips"]) == 6


def test_a_table_of_another_schema_is_refused_and_left_alone(videos, tmp_path):
    import pyarrow as pa
    from deltalake import write_deltalake

    data = tmp_path / "data"
    assert run("index", "--source", videos, "--data", data)[0] == 0
    write_deltalake(str(data / "clips"), pa.table({"other": ["a"]}))
    code, _, said = run("extract", "--data", data, "--inline")
    assert code == 2
    (line,) = errors(said)
    assert str(data / "clips") in line
    assert "other" in line
    from deltalake import DeltaTable

    assert DeltaTable(str(data / "clips")).to_pyarrow_table()["other"].to_pylist() == ["a"]


def test_a_damaged_log_is_named_and_once_mended_all_is_there(videos, tmp_path):
    data = tmp_path / "data"
    assert run("index", "--source", videos, "--data", data)[0] == 0
    assert run("extract", "--data", data, "--inline")[0] == 0
    before = rows(data)
    entry = max((data / "clips" / "_delta_log").glob("*.json"))
    content = entry.read_bytes()
    entry.write_bytes(content[: len(content) // 2] + b"\x00garbage")

    code, _, said = run("extract", "--data", data, "--inline")
    assert code == 2
    (line,) = errors(said)
    assert str(data / "clips") in line

    entry.write_bytes(content)
    code, said, _ = run("extract", "--data", data, "--inline")
    assert code == 0
    assert "nothing to decode" in said
    for name, wanted in before.items():
        assert rows(data)[name].equals(wanted), name


def test_without_mlflow_the_work_is_done_and_the_run_is_kept(videos, tmp_path, workspace):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        uri = f"http://user:secret@127.0.0.1:{nobody.getsockname()[1]}"
        code, said, err = run(
            "index", "--source", videos, "--data", tmp_path / "data", MLFLOW_TRACKING_URI=uri
        )
    assert code == 0, err
    assert "MLflow does not answer" in said
    assert str(workspace / "journal") in said
    assert "secret" not in said + err
    assert Dataset(folder=tmp_path / "data").manifest.read().num_rows == 6
