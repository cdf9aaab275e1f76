"""Runs while the server is away: jobs go on, and their runs are kept and read in the workspace."""

from __future__ import annotations

import json
import os
import re
import signal
from pathlib import Path

import pyarrow as pa
import pytest

from tests.runlog.conftest import JobRun, Python, Server, failed_run
from videoproc import runlog
from videoproc.runlog import journal
from videoproc.types import UserError


def test_a_run_that_no_server_takes_is_kept_and_the_job_says_where(
    job_run: JobRun, workspace: Path, away: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with job_run(config={"a": {"b": 1}}) as run:
        run.log_metrics({"loss": 0.5}, step=3)
        run.set_tags({"model": "cnn"})
        run.log_json([1], "one.json")
    said = capsys.readouterr().out.splitlines()
    assert said == [
        f"train      MLflow does not answer at {away}: the run is kept in "
        f"{workspace / 'journal'} and is sent when it answers again"
    ]
    assert journal.waiting(workspace) == [run.run_id]
    assert run.history("loss") == [(3, 0.5)]


@pytest.mark.usefixtures("away")
def test_a_run_that_is_kept_is_opened_found_and_read_as_any_other(
    job_run: JobRun, data: Path, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "card.json").write_text("{}")
    table = pa.table({"clip_id": ["a"]})
    with job_run(config={"a": 1}) as run:
        run.set_tags({"training_key": "k"})
        run.log_table(table, "test/scores.parquet")
        run.log_folder(tmp_path / "best", "checkpoint")
        run.log_dataset(
            name="clips", digest="d", source="/d", version=1, context="training", profile={}
        )
    found = runlog.find_run(data=data, workspace=workspace, tags={"training_key": "k"})
    assert found is not None
    for one in (
        found,
        runlog.open_run(run.run_id, workspace=workspace),
        runlog.resolve_run(run.run_id[:8], workspace=workspace),
    ):
        assert one.run_id == run.run_id
        assert (one.params, one.tags["job"]) == ({"a": "1"}, "train")
        assert one.read_table("test/scores.parquet").equals(table)
        assert (one.checkpoint_folder(workspace) / "card.json").read_text() == "{}"
    assert runlog.find_run(data=data, workspace=workspace, tags={"training_key": "l"}) is None


@pytest.mark.usefixtures("away")
def test_a_kept_run_takes_what_a_later_job_writes_to_it(job_run: JobRun, workspace: Path) -> None:
    with job_run() as run:
        pass
    runlog.open_run(run.run_id, workspace=workspace).log_metrics({"test/f1": 0.5})
    assert runlog.open_run(run.run_id, workspace=workspace).metrics == {"test/f1": 0.5}


@pytest.mark.usefixtures("away")
def test_a_kept_run_is_resumed(job_run: JobRun, workspace: Path) -> None:
    failed = failed_run(job_run)
    with job_run(resume=failed.run_id) as run:
        run.log_metrics({"loss": 1.0}, step=1)
    assert run.run_id == failed.run_id
    assert run.history("loss") == [(0, 2.0), (1, 1.0)]
    assert journal.waiting(workspace) == [run.run_id]


@pytest.mark.usefixtures("away")
def test_a_whole_night_is_kept(job_run: JobRun, workspace: Path) -> None:
    with job_run("nightly") as night, runlog.night(night):
        with job_run("index") as indexed:
            pass
        with job_run("train") as trained:
            pass
    ids = {night.run_id, indexed.run_id, trained.run_id}
    assert set(journal.waiting(workspace)) == ids
    assert indexed.tags["mlflow.parentRunId"] == trained.tags["night"] == night.run_id


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("run_id", ["../mlflow.db", "..", "waiting", "x/y", ""])
def test_no_spelling_of_an_id_names_another_file(
    job_run: JobRun, workspace: Path, run_id: str
) -> None:
    with job_run():
        pass
    with pytest.raises(UserError, match="MLflow does not answer"):
        runlog.open_run(run_id, workspace=workspace)


@pytest.mark.usefixtures("away")
def test_the_job_of_a_process_that_is_killed_leaves_its_run_in_the_journal(
    job_run: JobRun, python: Python
) -> None:
    process = python(
        "with runlog.job_run('train', data=data, workspace=workspace, config={'a': 1}) as run:\n"
        "    run.log_metrics({'loss': 2.0}, step=0)\n"
        "    print(run.run_id, flush=True)\n"
        "    input()\n"
    )
    assert process.stdout is not None
    process.stdout.readline()
    run_id = process.stdout.readline().strip()
    process.kill()
    process.wait()
    with job_run(resume=run_id) as run:
        run.log_metrics({"loss": 1.0}, step=1)
    assert run.history("loss") == [(0, 2.0), (1, 1.0)]
    assert run.params == {"a": "1"}


@pytest.mark.slow
def test_a_run_whose_server_dies_goes_on_with_all_that_was_written(
    job_run: JobRun,
    workspace: Path,
    tmp_path: Path,
    server: Server,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "card.json").write_text("{}")
    with job_run(config={"a": 1}) as run:
        run.log_metrics({"loss": 2.0}, step=0)
        run.set_tags({"model": "cnn"})
        run.log_json([1], "one.json")
        run.log_folder(tmp_path / "best", "checkpoint")
        server.kill()
        run.log_metrics({"loss": 1.0}, step=1)
        assert run.history("loss") == [(0, 2.0), (1, 1.0)]
    (said,) = capsys.readouterr().out.splitlines()
    assert re.match(r"train +MLflow does not answer at .*: the run is kept in .*/journal and", said)
    kept = runlog.open_run(run.run_id, workspace=workspace)
    assert (kept.run_id, kept.params, kept.tags["model"]) == (run.run_id, {"a": "1"}, "cnn")
    assert kept.history("loss") == [(0, 2.0), (1, 1.0)]
    assert kept.read_json("one.json") == [1]
    assert (kept.checkpoint_folder(workspace) / "card.json").read_text() == "{}"


@pytest.mark.slow
@pytest.mark.parametrize("dies_while", ["nothing is written", "it fails"])
def test_a_server_that_dies_before_the_end_of_a_run_leaves_its_status_in_the_journal(
    job_run: JobRun, workspace: Path, server: Server, dies_while: str
) -> None:
    fails = dies_while == "it fails"
    try:
        with job_run() as run:
            server.kill()
            if fails:
                raise RuntimeError
    except RuntimeError:
        assert fails
    server.start()
    assert runlog.replay(workspace) == 1
    assert server.client.get_run(run.run_id).info.status == ("FAILED" if fails else "FINISHED")


@pytest.mark.slow
def test_what_is_written_to_a_finished_run_while_its_server_is_away_comes_later(
    job_run: JobRun, data: Path, workspace: Path, server: Server
) -> None:
    with job_run(config={"a": 1}) as trained:
        trained.log_metrics({"loss": 1.0})
    opened = runlog.open_run(trained.run_id, workspace=workspace)
    server.kill()
    for value in (0.25, 0.5):
        opened.log_metrics({"test/f1": value}, step=int(value * 4))
    opened.log_json([1], "test/one.json")
    with pytest.raises(UserError, match=f"does not answer.*run '{trained.run_id}'"):
        _ = opened.params  # a part of the run stands for no run
    server.start()
    assert runlog.replay(workspace) == 1
    (only,) = server.runs(data)
    assert (only.info.status, only.data.params) == ("FINISHED", {"a": "1"})
    assert only.data.tags["mlflow.runName"] == "train"
    assert only.data.metrics == {"loss": 1.0, "test/f1": 0.5}
    assert opened.history("test/f1") == [(1, 0.25), (2, 0.5)]
    assert opened.read_json("test/one.json") == [1]


@pytest.mark.slow
def test_a_resumed_run_whose_server_dies_is_whole_after_the_replay(
    job_run: JobRun, data: Path, workspace: Path, server: Server
) -> None:
    failed = failed_run(job_run)
    with job_run(resume=failed.run_id) as run:
        run.log_metrics({"loss": 1.0}, step=1)
        server.kill()
        run.log_metrics({"loss": 0.5}, step=2)
    server.start()
    assert runlog.replay(workspace) == 1
    (only,) = server.runs(data)
    assert (only.info.run_id, only.info.status) == (failed.run_id, "FINISHED")
    history = runlog.open_run(failed.run_id, workspace=workspace).history("loss")
    assert history == [(0, 2.0), (1, 1.0), (2, 0.5)]


@pytest.mark.slow
def test_a_server_that_hangs_counts_as_away(
    job_run: JobRun, data: Path, workspace: Path, server: Server
) -> None:
    assert server.process is not None
    with job_run() as run:
        run.log_metrics({"loss": 2.0}, step=0)
        os.killpg(server.process.pid, signal.SIGSTOP)
        try:
            run.log_metrics({"loss": 1.0}, step=1)
            assert journal.waiting(workspace) == [run.run_id]
        finally:
            os.killpg(server.process.pid, signal.SIGCONT)
    assert runlog.replay(workspace) == 1
    (only,) = server.runs(data)
    assert only.info.run_id == run.run_id
    assert run.history("loss") == [(0, 2.0), (1, 1.0)]


@pytest.mark.slow
def test_two_processes_that_write_to_a_finished_run_while_its_server_is_away_leave_one_entry(
    job_run: JobRun, data: Path, workspace: Path, server: Server, python: Python
) -> None:
    with job_run() as trained:
        pass
    script = (
        f"run = runlog.open_run({trained.run_id!r}, workspace=workspace)\n"
        "print('ready', flush=True)\n"
        "name = input()\n"
        "for step in range(20):\n"
        "    run.log_metrics({name: float(step)}, step=step)\n"
    )
    both = {name: python(script) for name in ("a", "b")}
    for process in both.values():
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    server.kill()
    for name, process in both.items():
        assert process.stdin is not None
        process.stdin.write(f"{name}\n")
        process.stdin.flush()
    for process in both.values():
        said, _ = process.communicate(timeout=60)
        assert process.returncode == 0, said
    assert journal.waiting(workspace) == [trained.run_id]
    server.start()
    assert runlog.replay(workspace) == 1
    (only,) = server.runs(data)
    assert only.data.metrics == {"a": 19.0, "b": 19.0}
    for name in both:
        assert [step for step, _ in trained.history(name)] == list(range(20))


@pytest.mark.usefixtures("away")
def test_an_entry_says_which_run_it_is(job_run: JobRun, workspace: Path) -> None:
    with job_run() as run:
        pass
    entry = json.loads((workspace / "journal" / "waiting" / run.run_id).read_text())
    assert entry == {"run_id": run.run_id, "local_id": run.run_id, "whole": True}
