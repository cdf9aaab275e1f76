"""What waits in the journal comes to the server, each run once, whatever is killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow.entities import Run as MlflowRun

from tests.runlog.conftest import Back, JobRun, Python, Server, failed_run
from tests.runlog.test_run import clips, tiny_model
from videoproc import runlog
from videoproc.runlog import journal
from videoproc.tasks.classification import outputs
from videoproc.types import UserError

EPOCHS = 3
MAX_KILLS = 60


def keep_run(
    job_run: JobRun, tmp_path: Path, *, epochs: int = EPOCHS, **asked: object
) -> runlog.Run:
    """A run with a part of each kind."""
    folder = tmp_path / "best"
    folder.mkdir(exist_ok=True)
    (folder / "card.json").write_text("{}")
    with job_run(config={"a": {"b": 1}}, name="cnn", **asked) as run:
        write_to(run, epochs=epochs)
        run.log_folder(folder, "checkpoint")
    return run


def write_to(run: runlog.Run, *, epochs: int, begin: int = 0) -> None:
    for epoch in range(begin, epochs):
        run.log_metrics({"loss": 1 / (epoch + 1), "odd": float("nan")}, step=epoch)
    run.set_tags({"model": "cnn"})
    run.set_note("a *note*")
    run.log_json([1], "test/one.json")
    run.log_dataset(
        name="clips", digest="d1", source="/d", version=4, context="training", profile={"clips": 2}
    )


def check_whole(server: Server, run: MlflowRun, *, epochs: int = EPOCHS) -> None:
    """That a run of the server has all that `keep_run` wrote, once."""
    assert (run.info.status, run.info.run_name) == ("FINISHED", "cnn")
    assert run.data.params == {"a.b": "1"}
    assert (run.data.tags["model"], run.data.tags["job"]) == ("cnn", "train")
    assert run.data.tags["mlflow.note.content"] == "a *note*"
    for metric in ("loss", "odd"):
        history = server.client.get_metric_history(run.info.run_id, metric)
        assert [point.step for point in history] == list(range(epochs))
    files = {
        file.path
        for folder in ("test", "checkpoint")
        for file in server.client.list_artifacts(run.info.run_id, folder)
    }
    assert files == {"test/one.json", "checkpoint/card.json"}
    (used,) = run.inputs.dataset_inputs
    assert (used.dataset.name, used.dataset.digest, used.tags[0].value) == (
        "clips",
        "d1",
        "training",
    )


def test_a_run_that_was_kept_comes_whole_and_once(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    tmp_path: Path,
    back: Back,
    capsys: pytest.CaptureFixture[str],
) -> None:
    kept = keep_run(job_run, tmp_path)
    times = (kept.tags["code_version"], kept.duration_s)
    capsys.readouterr()
    server = back()
    assert runlog.replay(workspace) == 1
    assert capsys.readouterr().out == f"runlog     1 run replayed to {server.uri}\n"
    assert runlog.replay(workspace) == 0
    (only,) = server.runs(data)
    check_whole(server, only)
    assert journal.waiting(workspace) == []
    assert not list((workspace / "journal" / "artifacts").rglob("*.json"))  # it is not kept twice
    for run_id in (kept.run_id, only.info.run_id):
        for opened in (
            runlog.open_run(run_id, workspace=workspace),
            runlog.resolve_run(run_id[:8], workspace=workspace),
        ):
            assert opened.run_id == kept.run_id
            assert (opened.tags["code_version"], opened.duration_s) == times
            assert opened.history("loss") == [(0, 1.0), (1, 1 / 2), (2, 1 / 3)]
    assert kept.params == {"a.b": "1"}  # who opened it while it was kept reads on


def test_the_next_job_sends_what_waits(
    job_run: JobRun,
    data: Path,
    tmp_path: Path,
    back: Back,
) -> None:
    trained = keep_run(job_run, tmp_path)
    server = back()
    with job_run("evaluate", parent=trained.run_id) as run:
        trained.log_metrics({"test/f1": 0.5})
    (sent,) = [one for one in server.runs(data) if one.data.tags["job"] == "train"]
    check_whole(server, sent)
    assert sent.data.metrics["test/f1"] == 0.5
    assert run.tags["mlflow.parentRunId"] == sent.info.run_id


def test_links_lead_to_the_servers_own_runs_in_whatever_order_they_come(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    back: Back,
) -> None:
    with job_run("nightly") as night, runlog.night(night):
        for _ in range(4):  # ids are random: some come before the night, some after
            with job_run("index"):
                pass
        with job_run("train"):
            pass
        server = back()
        assert runlog.replay(workspace) == 5  # the night is at work
    assert journal.waiting(workspace) == [night.run_id]
    assert runlog.replay(workspace) == 1
    runs = server.runs(data)
    ids = {run.data.tags["job"]: run.info.run_id for run in runs}
    children = [one for one in runs if one.data.tags["job"] == "index"]
    assert [one.data.tags["mlflow.parentRunId"] for one in children] == [ids["nightly"]] * 4
    (trained,) = [one for one in runs if one.data.tags["job"] == "train"]
    assert trained.data.tags["night"] == ids["nightly"]


def test_a_link_to_a_run_that_was_sent_before_leads_to_it(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    away: str,
    back: Back,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with job_run() as trained:
        pass
    back()
    assert runlog.replay(workspace) == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", away)
    with job_run("evaluate", parent=trained.run_id):
        pass
    server = back()
    assert runlog.replay(workspace) == 1
    ids = {run.data.tags["job"]: run.info.run_id for run in server.runs(data)}
    measured = server.client.get_run(ids["evaluate"])
    assert measured.data.tags["mlflow.parentRunId"] == ids["train"] != trained.run_id


def test_a_run_that_is_resumed_after_it_was_sent_is_the_same(
    job_run: JobRun,
    data: Path,
    back: Back,
) -> None:
    failed = failed_run(job_run)
    server = back()
    with job_run(resume=failed.run_id) as run:
        assert run.run_id == failed.run_id
        run.log_metrics({"loss": 1.0}, step=1)
    (only,) = server.runs(data)
    assert only.info.status == "FINISHED"
    assert run.history("loss") == [(0, 2.0), (1, 1.0)]


@pytest.mark.slow
def test_a_logged_model_comes_too_and_can_be_loaded(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    tmp_path: Path,
    back: Back,
) -> None:
    with job_run() as run:
        run.log_model(outputs.export(tiny_model()), example=clips(2))
    server = back()
    assert runlog.replay(workspace) == 1
    (only,) = server.runs(data)
    (model,) = server.client.search_logged_models([only.info.experiment_id])
    assert (model.source_run_id, str(model.status)) == (only.info.run_id, "READY")
    assert [one.model_id for one in only.outputs.model_outputs] == [model.model_id]
    np.save(tmp_path / "frames.npy", clips(2))
    script = (
        "import sys, mlflow, numpy, torch\n"
        "model = mlflow.pytorch.load_model(sys.argv[1])\n"
        "print(tuple(model(torch.from_numpy(numpy.load(sys.argv[2]))).shape))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, f"models:/{model.model_id}", str(tmp_path / "frames.npy")],
        capture_output=True,
        text=True,
    )
    assert ended.stdout.strip() == "(2, 3)", ended.stderr


@pytest.mark.slow
def test_a_server_that_dies_while_a_model_is_logged_has_it_once_in_the_end(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = type(server.client)
    create_logged_model = client.create_logged_model

    def dying(*given: Any, **more: Any) -> Any:
        made = create_logged_model(*given, **more)
        server.kill()
        return made

    with job_run() as run:
        run.log_metrics({"loss": 1.0})
        with monkeypatch.context() as patch:
            patch.setattr(client, "create_logged_model", dying)
            run.log_model(outputs.export(tiny_model()), example=clips(2))
    assert journal.waiting(workspace) == [run.run_id]
    server.start()
    assert runlog.replay(workspace) == 1
    (only,) = server.runs(data)
    (model,) = server.client.search_logged_models([only.info.experiment_id])
    assert (model.source_run_id, str(model.status)) == (run.run_id, "READY")
    assert only.info.status == "FINISHED"


def test_what_the_server_refuses_stays_and_holds_up_nothing_else(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    back: Back,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with job_run() as refused:
        pass
    with job_run("index"):
        pass
    server = back()
    server.client.delete_experiment(server.client.create_experiment(data.name))
    capsys.readouterr()
    assert runlog.replay(workspace) == 1
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 2
    assert said[0].startswith(f"runlog     run {refused.run_id} stays in {workspace / 'journal'}: ")
    assert journal.waiting(workspace) == [refused.run_id]


@pytest.mark.usefixtures("away")
def test_nothing_is_sent_to_a_local_store(
    job_run: JobRun, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with job_run() as kept:
        pass
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    assert runlog.replay(workspace) == 0
    assert runlog.open_run(kept.run_id, workspace=workspace).tags["job"] == "train"


@pytest.mark.slow
def test_a_run_whose_server_died_and_came_back_is_one_whole_run(
    job_run: JobRun, data: Path, workspace: Path, tmp_path: Path, server: Server
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "card.json").write_text("{}")
    with job_run("nightly") as night, runlog.night(night):
        pass
    with runlog.night(night), job_run(config={"a": {"b": 1}}, name="cnn") as run:
        write_to(run, epochs=1)
        server.kill()
        write_to(run, epochs=EPOCHS, begin=1)
        run.log_folder(tmp_path / "best", "checkpoint")
        server.start()
        run.log_metrics({"loss": 0.125}, step=EPOCHS)
        run.log_metrics({"odd": 0.0}, step=EPOCHS)
        assert runlog.replay(workspace) == 0  # it is at work
    assert runlog.replay(workspace) == 1
    (only,) = [one for one in server.runs(data) if one.data.tags["job"] == "train"]
    assert only.info.run_id == run.run_id
    check_whole(server, only, epochs=EPOCHS + 1)
    assert only.data.tags["night"] == night.run_id


KILLED_BEFORE_REQUEST = """
import os, signal
import requests
send, asked = requests.Session.send, []
def counted(*given, **more):
    asked.append(None)
    if len(asked) > {requests}:
        os.kill(os.getpid(), signal.SIGKILL)
    return send(*given, **more)
requests.Session.send = counted
print(runlog.replay(workspace))
"""


@pytest.mark.slow
def test_a_replay_that_is_killed_before_each_of_its_requests_gives_one_run(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    tmp_path: Path,
    back: Back,
    python: Python,
) -> None:
    with job_run("nightly") as night:
        pass
    with runlog.night(night):
        kept = keep_run(job_run, tmp_path)
    server = back()
    for requests in range(1, MAX_KILLS):
        process = python(KILLED_BEFORE_REQUEST.format(requests=requests))
        said, _ = process.communicate(timeout=60)
        if process.returncode == 0:
            break
        assert process.returncode == -9, said
    assert requests > 8  # so there were kills in the midst of it
    assert journal.waiting(workspace) == []
    by_job = {run.data.tags["job"]: run for run in server.runs(data)}
    assert len(server.runs(data)) == 2
    check_whole(server, by_job["train"])
    assert by_job["train"].data.tags["night"] == by_job["nightly"].info.run_id
    assert runlog.open_run(kept.run_id, workspace=workspace).history("loss")[-1] == (2, 1 / 3)


@pytest.mark.slow
def test_a_server_that_dies_in_the_midst_of_a_replay_gets_the_rest_later(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    tmp_path: Path,
    back: Back,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    keep_run(job_run, tmp_path)
    server = back()
    client = type(server.client)
    log_artifacts = client.log_artifacts

    def dying(*given: object, **more: object) -> object:
        server.kill()
        return log_artifacts(*given, **more)

    with monkeypatch.context() as patch:
        patch.setattr(client, "log_artifacts", dying)
        assert runlog.replay(workspace) == 0
    server.start()
    assert runlog.replay(workspace) == 1
    (only,) = server.runs(data)
    check_whole(server, only)


@pytest.mark.slow
def test_two_processes_that_replay_at_once_give_each_run_once(
    job_run: JobRun, data: Path, tmp_path: Path, back: Back, python: Python
) -> None:
    for _ in range(5):
        keep_run(job_run, tmp_path)
    server = back()
    script = "print('ready', flush=True)\ninput()\nprint(runlog.replay(workspace))\n"
    both = [python(script) for _ in range(2)]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in both:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    sent = [int(process.communicate(timeout=120)[0].splitlines()[-1]) for process in both]
    assert sum(sent) == 5
    runs = server.runs(data)
    assert len(runs) == 5
    for run in runs:
        check_whole(server, run)


def test_a_run_of_no_server_and_no_journal_is_named(workspace: Path, server: Server) -> None:
    with pytest.raises(UserError, match=f"run 'f{{32}}' does not exist in {server.uri}"):
        runlog.open_run("f" * 32, workspace=workspace)
