"""The night of `make demo`, as a user runs it, twice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.learning.record import told_apart
from videoproc import runlog

PROJECT = Path(__file__).parents[2]


def _night(folder: Path, workspace: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.nightly", "--config", PROJECT / "pipelines/demo.yaml"],
        cwd=folder,
        env=os.environ | {"VIDEOPROC_WORKSPACE": str(workspace), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_only_the_model_that_sees_order_tells_the_pairs_apart_and_a_second_night_is_empty(
    tmp_path: Path, workspace: Path
) -> None:
    said = _night(tmp_path, workspace)
    data = tmp_path / "workspace" / "demo"

    cnn, cnn_gru = (
        runlog.find_run(data=data, workspace=workspace, tags={"job": "train", "model": model})
        for model in ("cnn", "cnn_gru")
    )
    assert cnn is not None
    assert cnn_gru is not None
    assert cnn_gru.metrics["test/accuracy"] >= 0.9
    assert told_apart(cnn_gru.read_json("test/confusion_matrix.json")) >= 0.9
    assert told_apart(cnn.read_json("test/confusion_matrix.json")) <= 0.7, "a guess is 0.5"
    assert re.search(r"\naccuracy +0\.\d+ \(.+?\) +(0\.9|1\.)", said), "side by side"

    said = _night(tmp_path, workspace)
    assert "nothing new" in said
    assert "epoch" not in said
