"""The whole pipeline with corpus, tables, checkpoints and MLflow's artifacts in an object store."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from videoproc import runlog, storage
from videoproc.report.night import earlier
from videoproc.storage import at
from videoproc.tables import Dataset

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
SETTINGS = """
source: {bucket}/corpus/videos.csv
layout: csv
data: {bucket}/tables/demo
checkpoints: {bucket}/checkpoints
split: {{group: source}}
sampling: {{num_frames: 4}}
size: {{height: 24, width: 24}}
models: [cnn]
model_settings: {{cnn: {{channels: [4, 8]}}}}
loop: {{epochs: 2, batch_size: 8}}
workers: 2
"""


@pytest.fixture
def settings(bucket, corpus, tmp_path, monkeypatch):
    """A night's config, its corpus in a bucket, and MLflow's artifacts there too."""
    for file in corpus.rglob("*"):
        if file.is_file():
            storage.write_whole(
                at(bucket) / "corpus" / str(file.relative_to(corpus)), file.read_bytes()
            )
    monkeypatch.setenv("VIDEOPROC_ARTIFACTS", f"{bucket}/artifacts")
    path = tmp_path / "night.yaml"
    path.write_text(SETTINGS.format(bucket=bucket))
    return path


def run(job, *arguments, workspace):
    done = subprocess.run(
        [sys.executable, "-m", f"pipelines.{job}", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": str(PROJECT), "VIDEOPROC_WORKSPACE": str(workspace)},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def files(place):
    return [str(file.path) for file in storage.files_below(at(place))]


@pytest.mark.timeout(900)
def test_a_night_lives_in_a_bucket_and_the_next_one_is_empty(settings, bucket, workspace):
    said = run("nightly", "--config", settings, workspace=workspace)

    data = at(bucket) / "tables" / "demo"
    dataset = Dataset(folder=data)
    readable = [row for row in dataset.manifest.read().to_pylist() if row["error"] is None]
    assert {row["uri"].startswith(f"{bucket}/corpus/") for row in readable} == {True}
    clips = set(dataset.clips.read(["video_id"])["video_id"].to_pylist())
    assert clips == {row["video_id"] for row in readable}
    (predictions,) = dataset.prediction_tables()
    assert set(predictions.read(["video_id"])["video_id"].to_pylist()) == clips
    assert [night.outcome for night in earlier(data, most=9)] == ["done"]

    trained = runlog.find_run(data=data, workspace=workspace, tags={"job": "train"})
    assert trained is not None
    assert any(trained.run_id in name for name in files(f"{bucket}/checkpoints"))
    assert any("safetensors" in name for name in files(f"{bucket}/artifacts"))
    assert "test/accuracy" in trained.metrics
    assert trained.read_json("test/mistakes.json") is not None
    local = [p for p in workspace.rglob("*") if p.suffix in (".parquet", ".safetensors")]
    assert [p for p in local if "fetched" not in p.parts] == [], "nothing is kept on this disk"

    said += run("nightly", "--config", settings, workspace=workspace)
    assert "nothing new" in said
    assert "test-secret" not in said
    assert [night.outcome for night in earlier(data, most=9)] == ["done", "nothing new"]


@pytest.mark.timeout(900)
def test_the_jobs_work_one_by_one_and_training_resumes_from_the_bucket(
    bucket, corpus, workspace, tmp_path
):
    data, kept = f"{bucket}/data", f"{bucket}/checkpoints"
    run("index", "--source", corpus / "videos.csv", "--layout", "csv", "--data", data,
        "--split.group", "source", workspace=workspace)  # fmt: skip
    run("extract", "--data", data, "--sampling.num_frames", "4", "--size.height", "24",
        "--size.width", "24", workspace=workspace)  # fmt: skip
    config = tmp_path / "train.yaml"
    config.write_text("model_settings: {channels: [4, 8]}\nloop: {epochs: 2, batch_size: 8}\n")
    flags = ("--config", config, "--data", data, "--model", "cnn", "--checkpoints", kept)
    run("train", *flags, workspace=workspace)
    trained = runlog.find_run(data=at(data), workspace=workspace, tags={"job": "train"})
    assert trained is not None

    said = run("train", *flags, "--resume", trained.run_id, workspace=workspace)
    assert "epoch" not in said, "it was finished: the checkpoint in the bucket says so"
    said = run("predict", "--data", data, "--run", trained.run_id, workspace=workspace)
    assert "37 predictions" in said
    run("evaluate", "--data", data, "--run", trained.run_id, workspace=workspace)

    dataset = Dataset(folder=at(data))
    video = dataset.clips.read(["video_id"])["video_id"][0].as_py()
    said = run("lineage", video, "--data", data, workspace=workspace)
    assert "predicted by" in said
    said = run("forget", video, "--data", data, "--purge", workspace=workspace)
    assert "no longer readable in full" in said
    for table in (dataset.clips, dataset.features, dataset.manifest):
        assert video not in table.read(["video_id"])["video_id"].to_pylist()
    run("vacuum", "--data", data, "--min_age_hours", "0", workspace=workspace)
    assert dataset.clips.read(["clip_id"]).num_rows == 36
