"""index --check says whether the corpus is fit to learn from, and keeps what it said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pipelines import index as index_job
from pipelines.index import CHECK, SETTINGS
from videoproc import runlog
from videoproc.media import write_video
from videoproc.tables import Dataset


def _scene(seed: int) -> np.ndarray:
    """(T, H, W, 3): coarse blocks, a picture of its own for each seed."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return np.broadcast_to(blocks.repeat(8, axis=0).repeat(8, axis=1), (24, 64, 64, 3))


@pytest.fixture
def listed(tmp_path):
    """12 videos of two classes from 6 cameras. One of test is one of train, encoded anew."""
    rows = []
    for i in range(12):
        seed, quality = (0, 36) if i == 11 else (i, 23)
        write_video(tmp_path / f"{i}.mp4", _scene(seed), fps=12, crf=quality)
        split = "train" if i < 6 else ("val", "test")[i >= 9]
        rows.append({"file": f"{i}.mp4", "label": "ab"[i % 2], "cam": i // 3, "split": split})
    path = tmp_path / "videos.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return path


@pytest.fixture
def checked(listed, tmp_path, run_job):
    """The output of the check; the dataset is beside."""
    arguments = ["--source", str(listed), "--layout", "jsonl", "--data", str(tmp_path / "data")]
    code, out, _ = run_job(index_job, *arguments, "--split.group", "cam", "--check")
    assert code == 0
    return out


def test_the_report_is_printed_and_kept_in_the_dataset_and_in_the_run(checked, tmp_path, workspace):
    assert "0.mp4 (train, group 0) | 11.mp4 (test, group 3)" in checked
    assert "! Nearly the same pictures stand on different sides of the split: 1 pair" in checked
    kept = json.loads(Dataset(folder=tmp_path / "data").read_text(CHECK))
    assert kept["near_duplicates"]["copies"] == 1
    processing = tmp_path / "data-processing"  # the experiment of what makes data
    run = runlog.find_run(data=processing, workspace=workspace, tags={"job": "index"})
    assert run.read_json(CHECK) == kept
    assert run.metrics["check/near_duplicates"] == 1


def test_the_manifest_is_that_of_an_index_without_the_check(checked, listed, tmp_path, run_job):
    dataset = Dataset(folder=tmp_path / "data")
    version, settings = dataset.manifest.version, dataset.read_text(SETTINGS)
    arguments = ["--source", str(listed), "--layout", "jsonl", "--data", str(tmp_path / "data")]
    _, out, _ = run_job(index_job, *arguments, "--split.group", "cam")
    assert (dataset.manifest.version, dataset.read_text(SETTINGS)) == (version, settings)
    assert "Readiness" in checked
    assert "Readiness" not in out
