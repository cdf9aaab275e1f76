"""What a job writes to its run and reads from it, in a real store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from matplotlib.figure import Figure
from mlflow.entities import Run as MlflowRun

from tests.runlog.conftest import JobRun, Server
from videoproc import runlog
from videoproc.models import build_model, model_config
from videoproc.tasks.classification import outputs
from videoproc.types import UserError

FRAME_SHAPE = (4, 16, 16, 3)


def stored(run: runlog.Run) -> MlflowRun:
    return run.client.get_run(run.run_id)


def test_nested_config_becomes_flat_parameters(job_run: JobRun) -> None:
    config = {"model": "cnn", "loop": {"epochs": 3, "optim": {"learning_rate": 0.1}}, "x": None}
    with job_run(config=config) as run:
        pass
    assert run.params == {
        "model": "cnn",
        "loop.epochs": "3",
        "loop.optim.learning_rate": "0.1",
        "x": "None",
    }


def test_long_and_many_parameters_are_taken(job_run: JobRun) -> None:
    config = {f"setting_{i}": i for i in range(250)} | {"long": "x" * 20_000}
    with job_run(config=config) as run:
        pass
    assert len(run.params) == 251
    assert set(run.params["long"]) == {"x"}


def test_metrics_stand_by_step_and_the_last_value_of_a_step_counts(job_run: JobRun) -> None:
    with job_run() as run:
        for step, value in [(0, 3.0), (1, 2.0), (2, 1.0)]:
            run.log_metrics({"val/loss": value}, step=step)
        run.log_metrics({"val/loss": 2.5}, step=1)
    assert run.history("val/loss") == [(0, 3.0), (1, 2.5), (2, 1.0)]


def test_a_metric_that_was_never_written_has_no_history(job_run: JobRun) -> None:
    with job_run() as run:
        pass
    assert run.history("val/loss") == []


@pytest.mark.parametrize(
    "label", ["run & jump", "a:b", "走る", "../x", "./x", "a//b", "/", "..", "", "100 %"]
)
def test_a_label_of_any_spelling_can_be_part_of_a_metrics_name(job_run: JobRun, label: str) -> None:
    with job_run() as run:
        run.log_metrics({f"f1/{label}": 0.5})
    assert list(run.metrics.values()) == [0.5]


def test_a_run_says_what_ran_on_what(job_run: JobRun, data: Path) -> None:
    with job_run() as run:
        run.set_tags({"manifest_digest": "abc", "table_version.clips": 7})
    tags = run.tags
    assert (tags["manifest_digest"], tags["table_version.clips"]) == ("abc", "7")
    assert (tags["job"], tags["data"]) == ("train", str(data))
    assert tags["version.torch"] == torch.__version__
    assert tags["code_version"]


def test_a_note_is_the_runs_description(job_run: JobRun) -> None:
    with job_run() as run:
        run.set_note("12 videos, **2** failed")
    assert run.tags["mlflow.note.content"] == "12 videos, **2** failed"


def test_a_run_lasts_from_its_start_to_its_end(job_run: JobRun) -> None:
    with job_run() as run:
        pass
    info = stored(run).info
    assert run.duration_s == (info.end_time - info.start_time) / 1000 >= 0


def test_the_charts_are_those_of_the_runs_experiment(job_run: JobRun) -> None:
    with job_run() as run:
        pass
    assert run.charts.startswith(f"#/experiments/{stored(run).info.experiment_id}/runs?")


def test_artifacts_land_in_the_workspace_and_nowhere_else(
    job_run: JobRun, data: Path, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "card.json").write_text("{}")
    with job_run() as run:
        run.log_figure(Figure(), "picture.png")
        run.log_json({"a": [1, 2]}, "numbers.json")
        run.log_text("<p>", "pages/night.html")
        run.log_folder(tmp_path / "best", "checkpoint")
    (folder,) = (workspace / "mlartifacts" / data.name).iterdir()
    folder /= "artifacts"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"picture.png", "numbers.json", "pages/night.html", "checkpoint/card.json"}
    assert json.loads((folder / "numbers.json").read_text()) == {"a": [1, 2]}
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    assert {path.name for path in tmp_path.iterdir()} == {"best", "workspace"}


def test_a_folder_that_is_not_there_is_an_error(job_run: JobRun, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), job_run() as run:
        run.log_folder(tmp_path / "none", "checkpoint")


def test_a_checkpoint_comes_back_as_it_was_logged(
    job_run: JobRun, workspace: Path, tmp_path: Path
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "card.json").write_text('{"model": "cnn"}')
    with job_run() as run:
        run.log_folder(tmp_path / "best", "checkpoint")
    fetched = run.checkpoint_folder(workspace)
    assert (fetched / "card.json").read_text() == '{"model": "cnn"}'


def test_a_run_without_a_checkpoint_is_refused(job_run: JobRun, workspace: Path) -> None:
    with job_run() as run:
        pass
    with pytest.raises(UserError, match=f"run '{run.run_id}' has no checkpoint"):
        run.checkpoint_folder(workspace)


def test_a_table_comes_back_as_it_was_logged(job_run: JobRun, workspace: Path) -> None:
    table = pa.table({"clip_id": ["a", "b"], "probabilities": [[0.1, 0.9], [0.5, 0.5]]})
    table = table.replace_schema_metadata({"task": "any"})
    with job_run() as run:
        run.log_table(table, "test/scores.parquet")
    read = runlog.open_run(run.run_id, workspace=workspace).read_table("test/scores.parquet")
    assert read.equals(table)
    assert read.schema.metadata == {b"task": b"any"}


@pytest.mark.parametrize("name", ["a.json", "test/a.json", "./a.json", ".deep/er//a.json"])
def test_an_artifact_is_read_by_the_name_that_it_was_logged_by(job_run: JobRun, name: str) -> None:
    with job_run() as run:
        run.log_json({"a": [1, None]}, name)
    assert run.read_json(name) == {"a": [1, None]}


def test_a_table_that_was_never_logged_is_named(job_run: JobRun) -> None:
    with job_run() as run:
        pass
    with pytest.raises(UserError, match=r"no artifact 'test/scores\.parquet'"):
        run.read_table("test/scores.parquet")


def test_a_dataset_stands_beside_the_run_with_name_digest_and_context(job_run: JobRun) -> None:
    used = {"source": "s3://user:secret@bucket/d", "version": 3, "profile": {"clips": 12}}
    with job_run() as run:
        run.log_dataset(name="clips", digest="d" * 50, context="training", **used)
        run.log_dataset(name="clips", digest="e" * 36, context="validation", **used)
    found = {given.tags[0].value: given.dataset for given in stored(run).inputs.dataset_inputs}
    assert {context: (one.name, one.digest) for context, one in found.items()} == {
        "training": ("clips", "d" * 36),
        "validation": ("clips", "e" * 36),
    }
    one = found["training"]
    assert json.loads(one.source) == {"path": "s3://bucket/d", "delta_table_version": 3}
    assert json.loads(one.profile) == {"clips": 12}


def test_a_dataset_of_no_known_context_is_refused(job_run: JobRun) -> None:
    with job_run() as run, pytest.raises(ValueError, match="use one of training, validation, test"):
        run.log_dataset(
            name="clips", digest="d", source="/d", version=1, context="train", profile={}
        )


def tiny_model() -> torch.nn.Module:
    torch.manual_seed(0)
    settings = {"channels": [4, 8], "features": 8, "hidden": 8}
    config = model_config("cnn_lstm", settings)
    return build_model("cnn_lstm", config, num_outputs=3, frame_shape=FRAME_SHAPE).eval()


def clips(num: int) -> np.ndarray:
    return np.random.default_rng(num).integers(0, 256, (num, *FRAME_SHAPE), np.uint8)


LOAD_ELSEWHERE = """
import sys
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
"""


def test_the_logged_model_answers_in_a_process_that_has_none_of_our_code(
    job_run: JobRun, data: Path, workspace: Path, tmp_path: Path
) -> None:
    with job_run() as run:
        run.log_model(outputs.export(tiny_model()), example=clips(2))
    (found,) = run.client.search_logged_models([stored(run).info.experiment_id])
    assert found.artifact_location.startswith((workspace / "mlartifacts" / data.name).as_uri())
    assert [path.name for path in tmp_path.iterdir()] == ["workspace"]
    frames = clips(5)
    np.save(tmp_path / "frames.npy", frames)
    command = [sys.executable, "-I", "-c", LOAD_ELSEWHERE, found.artifact_location]
    files = [str(tmp_path / "frames.npy"), str(tmp_path / "answer.npy")]
    ended = subprocess.run(
        [*command, *files], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert ended.returncode == 0, ended.stderr
    answer = np.load(tmp_path / "answer.npy")
    with torch.inference_mode():
        expected = tiny_model()(torch.from_numpy(frames)).softmax(dim=1).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-6)


@pytest.mark.parametrize("uri", [None, "sqlite:///elsewhere.db"])
def test_logging_a_model_warns_of_nothing_and_leaves_the_environment_as_it_was(
    job_run: JobRun, empty_store: Path, monkeypatch: pytest.MonkeyPatch, uri: str | None
) -> None:
    if uri is not None:
        Path("elsewhere.db").write_bytes(empty_store.read_bytes())
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    before = dict(os.environ)
    with warnings.catch_warnings(record=True) as caught, job_run() as run:
        warnings.simplefilter("always", UserWarning)
        run.log_model(outputs.export(tiny_model()), example=clips(2))
    assert [str(w.message) for w in caught if w.category is UserWarning] == []
    assert dict(os.environ) == before


def test_a_tracking_server_gets_everything_and_the_workspace_nothing(
    job_run: JobRun, workspace: Path, tmp_path: Path, server: Server
) -> None:
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "card.json").write_text("{}")
    with job_run(config={"a": {"b": 1}}) as run:
        run.log_metrics({"loss": 0.5}, step=3)
        with pytest.raises(UserError, match="has no checkpoint"):
            run.checkpoint_folder(workspace)
        run.log_folder(tmp_path / "best", "checkpoint")
        run.log_model(outputs.export(tiny_model()), example=clips(2))
    seen = server.client.get_run(run.run_id)
    assert (seen.info.status, seen.data.params) == ("FINISHED", {"a.b": "1"})
    assert run.history("loss") == [(3, 0.5)]
    assert seen.info.artifact_uri.startswith("mlflow-artifacts:")
    assert (run.checkpoint_folder(workspace) / "card.json").read_text() == "{}"
    with pytest.raises(UserError, match=f"does not exist in {server.uri}"):
        runlog.open_run("nope", workspace=workspace)
    assert not (workspace / "mlartifacts").exists()
    assert os.environ["MLFLOW_TRACKING_URI"] == server.uri
