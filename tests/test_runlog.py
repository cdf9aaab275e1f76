"""Runs in a real MLflow store: SQLite in a workspace, and a server."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow as pa
import pytest
import torch
from matplotlib.figure import Figure
from mlflow.entities import Run as MlflowRun

from videoproc import runlog
from videoproc.models import build_model, model_config
from videoproc.tasks.classification import outputs
from videoproc.types import UserError

FRAME_SHAPE = (4, 16, 16, 3)
SECONDS_TO_START = 60


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "night"


@pytest.fixture(autouse=True)
def _store(workspace: Path, empty_store: Path) -> None:
    workspace.mkdir()
    (workspace / "mlflow.db").write_bytes(empty_store.read_bytes())


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make its tables: once for all tests."""
    folder = tmp_path_factory.mktemp("store")
    runlog.find_run(data=Path("none"), workspace=folder, tags={})
    return folder / "mlflow.db"


def job_run(data: Path, workspace: Path, job: str = "train", **asked: Any) -> Any:
    return runlog.job_run(job, data=data, workspace=workspace, **({"config": {}} | asked))


def failed_run(data: Path, workspace: Path) -> runlog.Run:
    """A run whose job has raised after its first metric."""
    with contextlib.suppress(RuntimeError), job_run(data, workspace) as run:
        run.log_metrics({"loss": 2.0}, step=0)
        raise RuntimeError
    return run


def stored(run: runlog.Run) -> MlflowRun:
    return run.client.get_run(run.run_id)


def test_nested_config_becomes_flat_parameters(data: Path, workspace: Path) -> None:
    config = {"model": "cnn", "loop": {"epochs": 3, "optim": {"learning_rate": 0.1}}, "x": None}
    with job_run(data, workspace, config=config) as run:
        pass
    assert stored(run).data.params == {
        "model": "cnn",
        "loop.epochs": "3",
        "loop.optim.learning_rate": "0.1",
        "x": "None",
    }


def test_long_and_many_parameters_are_taken(data: Path, workspace: Path) -> None:
    config = {f"setting_{i}": i for i in range(250)} | {"long": "x" * 20_000}
    with job_run(data, workspace, config=config) as run:
        pass
    params = stored(run).data.params
    assert len(params) == 251
    assert set(params["long"]) == {"x"}


def test_metrics_stand_by_step_and_the_last_value_of_a_step_counts(
    data: Path, workspace: Path
) -> None:
    with job_run(data, workspace) as run:
        for step, value in [(0, 3.0), (1, 2.0), (2, 1.0)]:
            run.log_metrics({"val/loss": value}, step=step)
        run.log_metrics({"val/loss": 2.5}, step=1)
    assert run.history("val/loss") == [(0, 3.0), (1, 2.5), (2, 1.0)]


@pytest.mark.parametrize(
    "label", ["run & jump", "a:b", "走る", "../x", "./x", "a//b", "/", "..", "", "100 %"]
)
def test_a_label_of_any_spelling_can_be_part_of_a_metrics_name(
    data: Path, workspace: Path, label: str
) -> None:
    with job_run(data, workspace) as run:
        run.log_metrics({f"f1/{label}": 0.5})
    assert list(run.metrics.values()) == [0.5]


def test_a_run_says_what_ran_on_what(data: Path, workspace: Path) -> None:
    with job_run(data, workspace) as run:
        run.set_tags({"manifest_digest": "abc", "table_version.clips": 7})
    tags = run.tags
    assert (tags["manifest_digest"], tags["table_version.clips"]) == ("abc", "7")
    assert (tags["job"], tags["data"]) == ("train", str(data))
    assert tags["version.torch"] == torch.__version__
    assert tags["code_version"]


def test_a_finished_job_is_a_finished_run(data: Path, workspace: Path) -> None:
    with job_run(data, workspace) as run:
        assert stored(run).info.status == "RUNNING"
    assert stored(run).info.status == "FINISHED"


@pytest.mark.parametrize("error", [RuntimeError, UserError, KeyboardInterrupt])
def test_a_job_that_raises_is_a_failed_run(
    data: Path, workspace: Path, error: type[BaseException]
) -> None:
    with pytest.raises(error), job_run(data, workspace) as run:
        raise error
    assert stored(run).info.status == "FAILED"


def test_resuming_reopens_the_run_and_keeps_what_it_holds(data: Path, workspace: Path) -> None:
    failed = failed_run(data, workspace)
    with job_run(data, workspace, config={"a": 1}, resume=failed.run_id) as run:
        assert run.run_id == failed.run_id
        assert stored(run).info.status == "RUNNING"
        run.log_metrics({"loss": 1.0}, step=1)
    assert run.history("loss") == [(0, 2.0), (1, 1.0)]
    assert stored(run).info.status == "FINISHED"


@pytest.mark.parametrize("run_id", ["nope", "0" * 32, "no such run"])
def test_a_run_that_does_not_exist_is_named(data: Path, workspace: Path, run_id: str) -> None:
    with pytest.raises(UserError, match=f"run '{run_id}' does not exist in sqlite:///"):
        runlog.open_run(run_id, workspace=workspace)
    with (
        pytest.raises(UserError, match=f"run '{run_id}' does not exist"),
        job_run(data, workspace, resume=run_id),
    ):
        pass


def test_what_is_compared_stands_apart_from_what_made_the_data(data: Path, workspace: Path) -> None:
    names = {}
    for job in ("index", "extract", "train", "evaluate", "predict"):
        with job_run(data, workspace, job) as run:
            experiment = run.client.get_experiment(stored(run).info.experiment_id)
            names[job] = experiment.name
    assert names == {
        "index": "night-processing",
        "extract": "night-processing",
        "train": "night",
        "evaluate": "night",
        "predict": "night-processing",
    }


def test_an_experiment_opens_in_the_view_for_model_training(data: Path, workspace: Path) -> None:
    with job_run(data, workspace) as run:
        experiment = run.client.get_experiment(stored(run).info.experiment_id)
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"


def test_artifacts_land_in_the_workspace_and_nowhere_else(
    data: Path, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "card.json").write_text("{}")
    with job_run(data, workspace) as run:
        run.log_figure(Figure(), "picture.png")
        run.log_json({"a": [1, 2]}, "numbers.json")
        run.log_folder(tmp_path / "checkpoint", "checkpoint")
    (folder,) = (workspace / "mlartifacts" / "night").iterdir()
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {
        "artifacts/picture.png",
        "artifacts/numbers.json",
        "artifacts/checkpoint/card.json",
    }
    assert json.loads((folder / "artifacts" / "numbers.json").read_text()) == {"a": [1, 2]}
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint", "workspace"}


def test_a_checkpoint_comes_back_as_it_was_logged(
    data: Path, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "card.json").write_text('{"model": "cnn"}')
    with job_run(data, workspace) as run:
        run.log_folder(tmp_path / "best", "checkpoint")
    fetched = run.checkpoint_folder(workspace)
    assert (fetched / "card.json").read_text() == '{"model": "cnn"}'


def test_a_run_without_a_checkpoint_is_refused(data: Path, workspace: Path) -> None:
    with job_run(data, workspace) as run:
        pass
    with pytest.raises(UserError, match=f"run '{run.run_id}' has no checkpoint"):
        run.checkpoint_folder(workspace)


def test_the_newest_finished_run_with_the_tags_is_found(data: Path, workspace: Path) -> None:
    made = []
    for key in ("a", "b", "b"):
        with job_run(data, workspace) as run:
            run.set_tags({"training_key": key})
        made.append(run.run_id)
    failed_run(data, workspace).set_tags({"training_key": "b"})
    found = runlog.find_run(data=data, workspace=workspace, tags={"training_key": "b"})
    assert found is not None
    assert found.run_id == made[-1]
    assert runlog.find_run(data=data, workspace=workspace, tags={"training_key": "c"}) is None


def tiny_model() -> torch.nn.Module:
    torch.manual_seed(0)
    settings = {"channels": [4, 8], "features": 8, "hidden": 8}
    config = model_config("cnn_lstm", settings)
    return build_model("cnn_lstm", config, num_outputs=3, frame_shape=FRAME_SHAPE).eval()


def clips(num: int) -> np.ndarray:
    return np.random.default_rng(num).integers(0, 256, (num, *FRAME_SHAPE), np.uint8)


@pytest.fixture
def logged_model(data: Path, workspace: Path) -> str:
    """Where the exported model lies."""
    with job_run(data, workspace) as run:
        run.log_model(outputs.export(tiny_model()), example=clips(2))
    (found,) = run.client.search_logged_models([stored(run).info.experiment_id])
    return found.artifact_location


def test_the_model_lies_in_the_workspace_and_nothing_beside_it(
    logged_model: str, workspace: Path, tmp_path: Path
) -> None:
    assert logged_model.startswith((workspace / "mlartifacts" / "night").as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]


LOAD_ELSEWHERE = """
import sys
import time
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("videoproc", "pipelines"):
            raise ImportError(name + " is not here")
sys.meta_path.insert(0, Refuse())
import mlflow, numpy, torch
model = mlflow.pytorch.load_model(sys.argv[1])
frames = torch.from_numpy(numpy.load(sys.argv[2]))
with torch.inference_mode():
    numpy.save(sys.argv[3], model(frames).numpy())
assert "videoproc" not in sys.modules
"""


def test_the_logged_model_answers_in_a_process_that_has_none_of_our_code(
    logged_model: str, tmp_path: Path
) -> None:
    frames = clips(5)
    np.save(tmp_path / "frames.npy", frames)
    command = [sys.executable, "-I", "-c", LOAD_ELSEWHERE, logged_model]
    files = [str(tmp_path / "frames.npy"), str(tmp_path / "answer.npy")]
    ended = subprocess.run(
        [*command, *files], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    answer = np.load(tmp_path / "answer.npy")
    with torch.inference_mode():
        expected = tiny_model()(torch.from_numpy(frames)).softmax(dim=1).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-6)
    np.testing.assert_allclose(answer.sum(axis=1), 1, atol=1e-5)


def test_logging_a_model_warns_of_nothing(data: Path, workspace: Path) -> None:
    with warnings.catch_warnings(record=True) as caught, job_run(data, workspace) as run:
        warnings.simplefilter("always", UserWarning)
        run.log_model(outputs.export(tiny_model()), example=clips(2))
    assert [str(w.message) for w in caught if w.category is UserWarning] == []


@pytest.mark.parametrize("uri", [None, "sqlite:///elsewhere.db"])
def test_the_environment_is_left_as_it_was(
    data: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch, uri: str | None
) -> None:
    if uri is not None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = dict(os.environ)
    with job_run(data, workspace) as run:
        run.log_model(outputs.export(tiny_model()), example=clips(2))
    assert dict(os.environ) == before


def test_an_empty_tracking_uri_is_none(
    data: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    with job_run(data, workspace) as run:
        pass
    assert stored(run).info.artifact_uri.startswith((workspace / "mlartifacts").as_uri())


def test_a_server_that_does_not_answer_is_named(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UserError, match=r"MLflow does not answer at http://127\.0\.0\.1"):
        runlog.open_run("0" * 32, workspace=workspace)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real MLflow server on loopback; its address."""
    port, folder = free_port(), tmp_path / "server"
    folder.mkdir()
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1"]
    store = f"sqlite:///{folder / 'mlflow.db'}"
    process = subprocess.Popen(
        [
            *command,
            f"--port={port}",
            f"--backend-store-uri={store}",
            f"--artifacts-destination={folder / 'artifacts'}",
            "--workers=1",
        ],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until_it_answers(f"http://127.0.0.1:{port}/health", process)
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(timeout=30)


def wait_until_it_answers(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(SECONDS_TO_START * 5):
        assert process.poll() is None, "mlflow server has ended"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise AssertionError(f"{url} does not answer")


@pytest.mark.slow
def test_a_tracking_server_gets_everything_and_the_workspace_nothing(
    data: Path,
    workspace: Path,
    tmp_path: Path,
    server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "card.json").write_text("{}")
    with job_run(data, workspace, config={"a": {"b": 1}}) as run:
        run.log_metrics({"loss": 0.5}, step=3)
        with pytest.raises(UserError, match="has no checkpoint"):
            run.checkpoint_folder(workspace)
        run.log_folder(tmp_path / "best", "checkpoint")
        run.log_model(outputs.export(tiny_model()), example=clips(2))
    client = mlflow.MlflowClient(server)
    seen = client.get_run(run.run_id)
    assert (seen.info.status, seen.data.params) == ("FINISHED", {"a.b": "1"})
    assert run.history("loss") == [(3, 0.5)]
    assert seen.info.artifact_uri.startswith("mlflow-artifacts:")
    assert (run.checkpoint_folder(workspace) / "card.json").read_text() == "{}"
    with pytest.raises(UserError, match=f"does not exist in {server}"):
        runlog.open_run("nope", workspace=workspace)
    assert not (workspace / "mlartifacts").exists()
    assert os.environ["MLFLOW_TRACKING_URI"] == server


def test_a_table_comes_back_as_it_was_logged(data: Path, workspace: Path) -> None:
    table = pa.table({"clip_id": ["a", "b"], "probabilities": [[0.1, 0.9], [0.5, 0.5]]})
    table = table.replace_schema_metadata({"task": "any"})
    with job_run(data, workspace) as run:
        run.log_table(table, "test/scores.parquet")
    read = runlog.open_run(run.run_id, workspace=workspace).read_table("test/scores.parquet")
    assert read.equals(table)
    assert read.schema.metadata == {b"task": b"any"}


def test_a_table_that_was_never_logged_is_named(data: Path, workspace: Path) -> None:
    with job_run(data, workspace) as run:
        pass
    with pytest.raises(UserError, match=r"no artifact 'test/scores\.parquet'"):
        run.read_table("test/scores.parquet")


def test_the_beginning_of_an_id_is_enough_to_find_a_run(data: Path, workspace: Path) -> None:
    with job_run(data, workspace) as run:
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
    data: Path, workspace: Path, prefix: str, expected: str
) -> None:
    with job_run(data, workspace), pytest.raises(UserError, match=expected):
        runlog.resolve_run(prefix, workspace=workspace)


def test_a_beginning_of_several_ids_is_refused(
    data: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runlog, "MIN_PREFIX_CHARS", 1)
    firsts: set[str] = set()
    for _ in range(17):  # of 17 hexadecimal ids two begin alike
        with job_run(data, workspace) as run:
            first = run.run_id[0]
        if first in firsts:
            break
        firsts.add(first)
    with pytest.raises(UserError, match=f"run '{first}' begins several run ids"):
        runlog.resolve_run(first, workspace=workspace)
