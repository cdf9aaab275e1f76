"""The runs of jobs: opened for the length of a job, opened again, found."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow.entities import Run as MlflowRun

from tests.runlog.conftest import JobRun, Python, Server, failed_run
from videoproc import runlog
from videoproc.runlog import jobs, store
from videoproc.types import UserError


def stored(run: runlog.Run) -> MlflowRun:
    return run.client.get_run(run.run_id)


def test_a_finished_job_is_a_finished_run(job_run: JobRun) -> None:
    with job_run() as run:
        assert stored(run).info.status == "RUNNING"
    assert stored(run).info.status == "FINISHED"


@pytest.mark.parametrize("error", [RuntimeError, UserError, KeyboardInterrupt])
def test_a_job_that_raises_is_a_failed_run(job_run: JobRun, error: type[BaseException]) -> None:
    with pytest.raises(error), job_run() as run:
        raise error
    assert stored(run).info.status == "FAILED"


def test_a_run_is_named_as_asked_or_as_its_job(job_run: JobRun) -> None:
    with job_run(name="cnn") as named, job_run() as unnamed:
        pass
    assert (stored(named).info.run_name, stored(unnamed).info.run_name) == ("cnn", "train")


def test_resuming_reopens_the_run_and_keeps_what_it_holds(job_run: JobRun) -> None:
    failed = failed_run(job_run)
    with job_run(config={"a": 1}, resume=failed.run_id) as run:
        assert run.run_id == failed.run_id
        assert stored(run).info.status == "RUNNING"
        run.log_metrics({"loss": 1.0}, step=1)
    assert run.history("loss") == [(0, 2.0), (1, 1.0)]
    assert stored(run).info.status == "FINISHED"


@pytest.mark.parametrize("run_id", ["nope", "0" * 32, "no such run", "../x", ""])
def test_a_run_that_does_not_exist_is_named(job_run: JobRun, workspace: Path, run_id: str) -> None:
    with pytest.raises(UserError, match=f"run '{run_id}' does not exist in sqlite:///"):
        runlog.open_run(run_id, workspace=workspace)
    with pytest.raises(UserError, match=f"run '{run_id}' does not exist"), job_run(resume=run_id):
        pass


def test_what_is_compared_stands_apart_from_what_made_the_data(job_run: JobRun, data: Path) -> None:
    names = {}
    for job in ("index", "extract", "train", "evaluate", "predict"):
        with job_run(job) as run:
            experiment = run.client.get_experiment(stored(run).info.experiment_id)
            names[job] = experiment.name.removeprefix(data.name)
    assert names == {
        "index": "-processing",
        "extract": "-processing",
        "train": "",
        "evaluate": "",
        "predict": "-processing",
    }


def test_a_run_stands_below_its_parent(job_run: JobRun) -> None:
    with job_run() as trained:
        pass
    with job_run("evaluate", parent=trained.run_id) as run:
        pass
    assert run.tags["mlflow.parentRunId"] == trained.run_id


def test_a_nights_runs_name_it_those_of_its_experiment_as_their_parent(job_run: JobRun) -> None:
    links = {}
    with job_run("nightly") as night, runlog.night(night):
        for job in ("index", "train", "predict"):
            with job_run(job) as run:
                links[job] = (run.tags.get("mlflow.parentRunId"), run.tags.get("night"))
        with job_run("evaluate", parent=run.run_id) as measured:
            pass
    with job_run("index") as outside:
        pass
    assert links == {
        "index": (night.run_id, None),
        "train": (None, night.run_id),
        "predict": (night.run_id, None),
    }
    assert measured.tags["mlflow.parentRunId"] == run.run_id
    assert measured.tags["night"] == night.run_id
    assert "mlflow.parentRunId" not in night.tags
    assert "mlflow.parentRunId" not in outside.tags


def test_the_newest_finished_run_with_the_tags_is_found(
    job_run: JobRun, data: Path, workspace: Path
) -> None:
    made = []
    for key in ("a", "b", "b"):
        with job_run() as run:
            run.set_tags({"training_key": key})
        made.append(run.run_id)
    failed = failed_run(job_run)
    failed.set_tags({"training_key": "b"})
    found = runlog.find_run(data=data, workspace=workspace, tags={"training_key": "b"})
    assert found is not None
    assert found.run_id == made[-1]
    tags = {"training_key": "b"}
    found = runlog.find_run(data=data, workspace=workspace, tags=tags, finished=False)
    assert found is not None
    assert found.run_id == failed.run_id
    assert runlog.find_run(data=data, workspace=workspace, tags={"training_key": "c"}) is None


@pytest.mark.parametrize("value", ["it's", 'a "b"', "'", "100 %"])
def test_a_run_is_found_by_a_tag_of_any_spelling(
    job_run: JobRun, data: Path, workspace: Path, value: str
) -> None:
    with job_run() as run:
        run.set_tags({"data.name": value})
    found = runlog.find_run(data=data, workspace=workspace, tags={"data.name": value})
    assert found is not None
    assert found.run_id == run.run_id


def test_the_beginning_of_an_id_is_enough_to_find_a_run(job_run: JobRun, workspace: Path) -> None:
    with job_run() as run:
        pass
    assert runlog.resolve_run(run.run_id[:6], workspace=workspace).run_id == run.run_id
    assert runlog.resolve_run(run.run_id, workspace=workspace).run_id == run.run_id


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("abc", "give 6 characters"),
        ("abc%def", "no run id"),
        ("zzzzzz", "run 'zzzzzz' does not exist"),
    ],
)
def test_what_begins_no_run_is_named(
    job_run: JobRun, workspace: Path, prefix: str, expected: str
) -> None:
    with job_run(), pytest.raises(UserError, match=expected):
        runlog.resolve_run(prefix, workspace=workspace)


def test_a_beginning_of_several_ids_is_refused(
    job_run: JobRun, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MIN_PREFIX_CHARS", 1)
    firsts: set[str] = set()
    for _ in range(17):  # of 17 hexadecimal ids two begin alike
        with job_run() as run:
            first = run.run_id[0]
        if first in firsts:
            break
        firsts.add(first)
    with pytest.raises(UserError, match=f"run '{first}' begins several run ids"):
        runlog.resolve_run(first, workspace=workspace)


def test_a_run_is_found_by_a_place_that_holds_a_password(
    job_run: JobRun, data: Path, workspace: Path
) -> None:
    place = "s3://key:secret@bucket/d"
    with job_run() as run:
        run.set_tags({"place": place})
    found = runlog.find_run(data=data, workspace=workspace, tags={"place": place})
    assert found is not None
    assert found.run_id == run.run_id


@pytest.mark.slow
def test_jobs_that_begin_at_once_share_a_new_store(
    data: Path, workspace: Path, python: Python
) -> None:
    (workspace / "mlflow.db").unlink()
    script = (
        "print('ready', flush=True)\n"
        "input()\n"
        "with runlog.job_run('train', data=data, workspace=workspace, config={}):\n"
        "    pass\n"
    )
    started = [python(script) for _ in range(4)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in started:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in started:
        said, _ = process.communicate(timeout=120)
        assert process.returncode == 0, said
    client = store.connect(workspace)
    runs = list(store.search(client, store.named_experiments(client, (data.name,))))
    assert [run.info.status for run in runs] == ["FINISHED"] * 4


def test_a_server_that_does_not_answer_is_named(workspace: Path, away: str) -> None:
    for ask in (runlog.open_run, runlog.resolve_run):
        with pytest.raises(UserError, match=f"MLflow does not answer at {away}: run '0{{32}}'"):
            ask("0" * 32, workspace=workspace)


def test_a_run_that_the_server_refuses_is_one_line(
    job_run: JobRun, server: Server, data: Path
) -> None:
    experiment = server.client.create_experiment(data.name)
    server.client.delete_experiment(experiment)
    with (
        pytest.raises(UserError, match=f"MLflow opens no run at {server.uri}: .*deleted") as raised,
        job_run(),
    ):
        pass
    assert "\n" not in str(raised.value)
