"""Pickles that somebody has planted where jobs read: none is opened, and one line says why."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import ray.data  # as in a worker: it registers types for Arrow whose values are pickles
import torch

from pipelines import evaluate, extract, index, predict, train
from tests.jobs.conftest import Trained
from videoproc.corpus.layouts.parquet_list import list_videos
from videoproc.learning import checkpoint
from videoproc.tables import Dataset, Table
from videoproc.tables.table import read_parquet
from videoproc.types import UserError

RunJob = Callable[..., tuple[int, str, str]]

SETTINGS = "ARROW:extension:metadata"
SMALL = ("--sampling.num_frames", "4", "--size.height", "16", "--size.width", "16", "--inline")


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Callable[..., int], tuple[str]]:
        return os.system, (f"touch '{self.sprung}'",)


@pytest.fixture
def sprung(tmp_path: Path) -> Path:
    """The file that a pickle makes which is opened."""
    return tmp_path / "sprung"


def plant_in(path: Path, column: str, sprung: Path) -> None:
    """A column of a shard becomes one of Ray's pickled objects, the others stay."""
    rows = pq.read_table(path)
    name = {"ARROW:extension:name": "ray.data.arrow_pickled_object"}
    field = pa.field(column, pa.large_binary(), metadata=name | {SETTINGS: ""})
    values = pa.array([pickle.dumps(Trap(sprung))] * rows.num_rows, pa.large_binary())
    planted = rows.set_column(rows.schema.get_field_index(column), field, values)
    pq.write_table(planted, path)


def first_shard(table: Table) -> Path:
    path = table.files()[0]
    assert isinstance(path, Path)
    return path


def is_one_clear_line(answer: tuple[int, str, str], *parts: str) -> bool:
    code, _, said = answer
    return code == 2 and said.count("\n") == 1 and all(part in said for part in parts)


def test_the_trap_springs_where_a_planted_shard_is_read_without_care(
    extracted: Path, sprung: Path
) -> None:
    path = first_shard(Dataset(folder=extracted).clips)
    plant_in(path, "clip_id", sprung)
    pq.read_table(path, columns=["clip_id"])["clip_id"].to_pylist()
    assert ray.data is not None
    assert sprung.exists()


@pytest.mark.parametrize(("table", "column"), [("clips", "clip_id"), ("features", "clip_id")])
def test_extract_opens_no_pickle_of_a_shard(
    extracted: Path, run_job: RunJob, sprung: Path, table: str, column: str
) -> None:
    path = first_shard(Dataset(folder=extracted).tables()[table])
    plant_in(path, column, sprung)
    answer = run_job(extract, "--data", str(extracted), *SMALL)
    assert is_one_clear_line(answer, path.name, column, "arrow_pickled_object")
    assert not sprung.exists()


@pytest.mark.parametrize("settings", ["no json", "5", '["a"]'])
def test_a_tensor_of_rays_that_means_nothing_is_one_clear_line(
    tmp_path: Path, settings: str
) -> None:
    name = {"ARROW:extension:name": "ray.data.arrow_tensor_v2"}
    field = pa.field("file", pa.list_(pa.int64()), metadata=name | {SETTINGS: settings})
    path = tmp_path / "part.parquet"
    pq.write_table(pa.table([pa.array([[1]])], schema=pa.schema([field])), path)
    assert ray.data is not None
    for read in (read_parquet, list_videos):
        with pytest.raises(UserError, match=r"part\.parquet.*extension type") as raised:
            read(path)
        assert "RAY_DATA" not in str(raised.value)


@pytest.mark.parametrize(
    "column", ["clip_id", "label", pytest.param("frames", marks=pytest.mark.slow)]
)
@pytest.mark.usefixtures("ray_cluster")
def test_train_opens_no_pickle_of_a_shard(
    extracted: Path, run_job: RunJob, sprung: Path, column: str
) -> None:
    dataset = Dataset(folder=extracted)
    path = first_shard(dataset.manifest if column == "label" else dataset.clips)
    plant_in(path, "labels" if column == "label" else column, sprung)
    flags = ("--model", "cnn", "--loop.epochs", "1", "--max_failures", "0")
    code, said, error = run_job(train, "--data", str(extracted), *flags)
    last = error.splitlines()[-1] + "\n"  # after what a worker's Ray has logged
    assert is_one_clear_line((code, said, last), path.name, "arrow_pickled_object")
    assert not sprung.exists()


@pytest.mark.parametrize("column", ["video_id", "uri", "labels"])
def test_no_job_opens_a_pickle_of_the_manifest(
    indexed: Path, corpus: Path, run_job: RunJob, sprung: Path, column: str
) -> None:
    path = first_shard(Dataset(folder=indexed).manifest)
    plant_in(path, column, sprung)
    source = ("--source", str(corpus / "videos.csv"), "--layout", "csv")
    for answer in (
        run_job(extract, "--data", str(indexed), *SMALL),
        run_job(index, "--data", str(indexed), *source),
    ):
        assert is_one_clear_line(answer, path.name, column)
    assert not sprung.exists()


def test_a_list_of_videos_in_parquet_opens_no_pickle(
    tmp_path: Path, run_job: RunJob, sprung: Path
) -> None:
    path = tmp_path / "videos.parquet"
    pq.write_table(pa.table({"file": ["a.mp4"], "label": ["walk"], "extra": ["x"]}), path)
    plant_in(path, "label", sprung)
    plant_in(path, "extra", sprung)
    flags = ("--source", str(path), "--layout", "parquet", "--data", str(tmp_path / "data"))
    assert is_one_clear_line(run_job(index, *flags), "videos.parquet", "label")
    assert not sprung.exists()


def test_evaluate_and_predict_open_no_pickled_checkpoint_of_mlflow(
    trained: Trained, log_untrained: Callable[..., str], run_job: RunJob, sprung: Path
) -> None:
    run_id = log_untrained()
    (weights,) = trained.workspace.rglob(f"{run_id}/artifacts/checkpoint/{checkpoint.MODEL}")
    torch.save({"weights": Trap(sprung)}, weights)
    flags = ("--data", str(trained.data), "--run", run_id)
    assert is_one_clear_line(run_job(evaluate, *flags), checkpoint.MODEL, "no safetensors")
    assert is_one_clear_line(run_job(predict, *flags, "--inline"), checkpoint.MODEL)
    assert not sprung.exists()


def test_training_resumes_from_no_pickle(trained: Trained, sprung: Path, tmp_path: Path) -> None:
    (folder,) = (trained.workspace / "runs").iterdir()
    step = checkpoint.best(folder)
    last = tmp_path / "run" / "step-00000001"
    last.mkdir(parents=True)
    for name in (checkpoint.CARD, checkpoint.POSITION, checkpoint.OPTIMISER):
        (last / name).write_bytes((step / name).read_bytes())
    torch.save({"weights": Trap(sprung)}, last / checkpoint.MODEL)
    model = checkpoint.read_card(last).build()
    with pytest.raises(UserError, match="no other form, such as a pickle, is read"):
        checkpoint.resume(
            last.parent,
            model=model,
            optimiser=torch.optim.SGD(model.parameters()),
            device=torch.device("cpu"),
        )
    assert not sprung.exists()
