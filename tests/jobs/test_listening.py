"""What a job listens on that starts a Ray of its own, as on a laptop: loopback and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.sockets import is_loopback, listening

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--sampling.num_frames", "4", "--size.height", "16", "--size.width", "16")
TRAIN = ("--model", "cnn_gru", "--workers", "2", "--cpus_per_worker", "1", "--loop.epochs", "4")


def sockets_of(*words: str) -> set[tuple[str, str, int]]:
    """All that a job and what it starts have ever listened on."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    found: set[tuple[str, str, int]] = set()
    with subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=ROOT,
        env=plain | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as job:
        parent = psutil.Process(job.pid)
        while job.poll() is None:
            try:
                found |= listening([parent, *parent.children(recursive=True)])
            except psutil.NoSuchProcess:
                break
            time.sleep(0.05)
        said, _ = job.communicate(timeout=200)
    assert job.returncode == 0, said
    return found


def test_while_it_decodes(indexed: Path) -> None:
    found = sockets_of("pipelines.extract", "--data", str(indexed), *SMALL)
    assert {process for process, _, _ in found} >= {"gcs_server", "raylet"}
    assert [one for one in found if not is_loopback(one[1])] == []


def test_while_two_workers_train(extracted: Path) -> None:
    found = sockets_of("pipelines.train", "--data", str(extracted), *TRAIN)
    workers = [process for process, _, _ in found if "TrainWorker" in process]
    assert len(workers) >= 5, "two of Ray's, two of gloo's, and the store where they meet"
    assert [one for one in found if not is_loopback(one[1])] == []
