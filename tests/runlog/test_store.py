"""Stores: which one runs go to, whether a server answers, what may be said of it."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from tests.gate import gate_to
from tests.runlog.conftest import JobRun, Server, free_port
from tests.runlog.test_run import clips, tiny_model
from videoproc import runlog, storage
from videoproc.runlog import store
from videoproc.storage import at
from videoproc.types import UserError


def test_importing_the_package_imports_neither_torch_nor_ray_nor_matplotlib() -> None:
    script = (
        "import sys, videoproc.runlog\n"
        "print(*({'torch', 'ray', 'matplotlib'} & {name.split('.')[0] for name in sys.modules}))"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.split()) == (0, []), ended.stderr


def test_an_experiment_opens_in_the_view_for_model_training(job_run: JobRun, data: Path) -> None:
    with job_run() as run:
        pass
    experiment = run.client.get_experiment_by_name(data.name)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_an_empty_tracking_uri_is_none(
    job_run: JobRun, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with job_run() as run:
        run.log_json(1, "one.json")
    assert list((workspace / "mlartifacts").rglob("one.json"))


@pytest.mark.parametrize(
    "uri", ["htp://127.0.0.1:5000", "sqlite:////proc/none/x.db", "postgresql://x/y"]
)
def test_a_tracking_uri_that_cannot_be_is_one_line_that_names_the_variable(
    job_run: JobRun, monkeypatch: pytest.MonkeyPatch, uri: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(UserError) as raised, job_run():
        pass
    assert re.match(
        rf"MLflow cannot use '{re.escape(uri)}' \(MLFLOW_TRACKING_URI\): ", str(raised.value)
    )
    assert "\n" not in str(raised.value)


def test_a_folder_for_artifacts_must_be_a_uri(
    job_run: JobRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPROC_ARTIFACTS", "bucket/folder")
    with (
        pytest.raises(UserError, match="VIDEOPROC_ARTIFACTS is 'bucket/folder': give a URI"),
        job_run(),
    ):
        pass


@pytest.mark.parametrize("answering", [True, False])
def test_a_password_in_the_tracking_uri_is_never_printed_nor_kept(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    server: Server,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    answering: bool,
) -> None:
    port = server.port if answering else free_port()
    uri = f"http://robot:hunter2@127.0.0.1:{port}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with job_run(config={"uri": uri, "deep": {"uri": uri}}) as run:
        run.set_tags({"server": uri})
        run.set_note(f"see {uri}")
    refused: list[str] = []
    for ask in (
        lambda: runlog.open_run("f" * 32, workspace=workspace),
        lambda: runlog.resolve_run("f" * 8, workspace=workspace),
        lambda: runlog.named_versions(data / "x", workspace) and None,
    ):
        try:
            ask()
        except UserError as error:
            refused.append(str(error))
    assert len(refused) == (2 if answering else 3)
    kept = [run.params, run.tags, refused, *capfd.readouterr()]
    assert "hunter2" not in str(kept)
    assert run.params["deep.uri"] == f"http://127.0.0.1:{port}"


@contextmanager
def answering_with(answer: bytes) -> Iterator[tuple[str, list[int]]]:
    """A server that gives one answer to all; its address, and its connections so far."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        met: list[int] = []

        def serve() -> None:
            while True:
                try:
                    connection, (_, port) = listening.accept()
                except OSError:  # closed
                    return
                with connection:
                    met.append(port)
                    connection.recv(65536)
                    connection.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", met
        listening.shutdown(socket.SHUT_RDWR)


BROKEN = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def test_a_server_that_does_not_answer_is_not_asked_again_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with answering_with(b"") as (uri, met):
        monkeypatch.setattr(store, "AWAY_S", 3600)
        assert not store.answers(uri)
        asked = len(met)
        assert asked
        assert not store.answers(uri)
        assert len(met) == asked
        monkeypatch.setattr(store, "AWAY_S", 0.0)
        assert not store.answers(uri)
        assert len(met) > asked


def test_a_proxy_whose_server_is_gone_counts_as_away(
    job_run: JobRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering_with(BROKEN) as (uri, _):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with job_run() as run:
            run.log_metrics({"loss": 1.0})
    assert f"MLflow does not answer at {uri}: the run is kept in" in capsys.readouterr().out
    assert run.metrics == {"loss": 1.0}


@pytest.mark.slow
def test_artifacts_go_to_an_object_store_and_come_back(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    tmp_path: Path,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDEOPROC_ARTIFACTS", f"{bucket}/folder")
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "card.json").write_text("{}")
    with job_run() as run:
        run.log_figure(Figure(), "test/picture.png")
        run.log_json({"a": [1, 2]}, "test/numbers.json")
        run.log_folder(tmp_path / "best", "checkpoint")
    kept = {str(file.path) for file in storage.files_below(at(bucket))}
    root = f"{bucket}/folder/{data.name}/{run.run_id}/artifacts"
    assert kept == {
        f"{root}/test/picture.png",
        f"{root}/test/numbers.json",
        f"{root}/checkpoint/card.json",
    }
    again = runlog.open_run(run.run_id, workspace=workspace)
    assert again.read_bytes("test/picture.png").startswith(b"\x89PNG")
    assert again.read_json("test/numbers.json") == {"a": [1, 2]}
    assert (again.checkpoint_folder(workspace) / "card.json").read_text() == "{}"
    assert not (workspace / "mlartifacts").exists()

    monkeypatch.setenv("VIDEOPROC_ARTIFACTS", "s3://no-such-bucket/folder")
    elsewhere = runlog.job_run("train", data=data / "other", workspace=workspace, config={})
    with (
        pytest.raises(UserError, match=r"artifacts cannot be reached: .*no-such-bucket") as raised,
        elsewhere as run,
    ):
        run.log_json(1, "one.json")
    assert "\n" not in str(raised.value)


def test_artifacts_wait_for_an_object_store_that_is_away(
    job_run: JobRun,
    bucket: str,
    s3_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDEOPROC_ARTIFACTS", f"{bucket}/folder")
    with gate_to(s3_endpoint) as gate:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", gate.url)  # for which it keeps no client yet
        with job_run() as run:
            with gate.refusing(), ThreadPoolExecutor(1) as threads:
                logged = threads.submit(run.log_text, "content", "a.txt")
                with pytest.raises(TimeoutError):
                    logged.result(1.0)
                gate.open()
                logged.result()
            assert run.read_bytes("a.txt") == b"content"


def test_a_model_that_waits_for_an_object_store_leaves_no_other_behind(
    job_run: JobRun,
    bucket: str,
    s3_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIDEOPROC_ARTIFACTS", f"{bucket}/folder")
    with gate_to(s3_endpoint) as gate:
        monkeypatch.setenv("MLFLOW_S3_ENDPOINT_URL", gate.url)
        with job_run() as run:
            experiment = run.client.get_run(run.stored_id).info.experiment_id
            with gate.refusing(), ThreadPoolExecutor(1) as threads:
                logged = threads.submit(run.log_model, tiny_model(), example=clips(2))
                first = made_after(set(), run, experiment)
                made_after(first, run, experiment)
                gate.open()
                logged.result()
            (model,) = run.client.search_logged_models([experiment])
    assert model.model_id not in first
    assert model.status == "READY"


def made_after(models: set[str], run: runlog.Run, experiment: str) -> set[str]:
    """The ids of the models that there are, once there is another."""
    while True:
        found = {one.model_id for one in run.client.search_logged_models([experiment])}
        if found - models:
            return found
        time.sleep(0.05)
