"""Training that is killed goes on where it stood and ends as if nothing had been."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from videoproc import runlog
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PROJECT = Path(__file__).parents[2]
EPOCHS = 30
MAX_S = 240
METRICS = ("train/loss", "val/loss", "val/accuracy")


@contextmanager
def training(data: Path, *flags: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m pipelines.train` as a process of its own; ended with the `with` if need be."""
    command = [sys.executable, "-m", "pipelines.train", "--data", str(data), "--model", "cnn_gru"]
    settings = '{"channels": [4, 8], "features": 8, "hidden": 8}'
    process = subprocess.Popen(
        [
            *command,
            f"--model_settings={settings}",
            f"--loop.epochs={EPOCHS}",
            "--loop.batch_size=2",
            "--loop.checkpoint_every_steps=1",
            "--workers=2",
            "--cpus_per_worker=1",
            *flags,
        ],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def finish(data: Path, *flags: str) -> None:
    with training(data, *flags) as process:
        output, _ = process.communicate(timeout=MAX_S)
        assert process.returncode == 0, output


def runs(workspace: Path) -> set[str]:
    return {path.name for path in (workspace / "runs").glob("*")}


def position_of(workspace: Path, run_id: str) -> Position:
    while True:
        try:
            return checkpoint.last_position(workspace / "runs" / run_id)
        except FileNotFoundError:  # a newer one has taken its place meanwhile
            continue


def wait_for_mid_epoch(process: subprocess.Popen[str], workspace: Path) -> str:
    """Wait until a run's last checkpoint stands within its second epoch or a later one."""
    deadline = time.monotonic() + MAX_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "training ended before it could be disturbed"
        for run_id in runs(workspace):
            position = position_of(workspace, run_id)
            if position.epoch >= 1 and position.batch:
                return run_id
        time.sleep(0.01)
    raise AssertionError("no mid-epoch checkpoint has come")


def histories(workspace: Path, run_id: str) -> dict[str, list[tuple[int, float]]]:
    run = runlog.open_run(run_id, workspace=workspace)
    return {name: run.history(name) for name in METRICS}


def assert_same(found: dict, expected: dict) -> None:
    for name in METRICS:
        assert [step for step, _ in found[name]] == list(range(EPOCHS))
        values = [value for _, value in expected[name]]
        assert [value for _, value in found[name]] == pytest.approx(values, abs=1e-6)


def worker_processes(root: int) -> list[int]:
    """The training workers among the processes that `root` has started, direct or not."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            pid, stat = int(folder.name), (folder / "stat").read_text()
            parents[pid] = int(stat.rpartition(")")[2].split()[1])
            titles[pid] = (folder / "cmdline").read_text()
        except OSError:
            continue

    def is_below(pid: int) -> bool:
        while pid in parents and pid != root:
            pid = parents[pid]
        return pid == root

    return [pid for pid, title in titles.items() if "RayTrainWorker" in title and is_below(pid)]


@pytest.fixture(scope="module")
def uninterrupted(
    _extracted: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[int, float]]]:
    workspace = tmp_path_factory.mktemp("uninterrupted") / "workspace"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(workspace))
        finish(_extracted)
    (run_id,) = runs(workspace)
    return histories(workspace, run_id)


def test_a_job_killed_in_mid_epoch_resumes_to_the_uninterrupted_runs_metrics(
    extracted: Path, workspace: Path, uninterrupted: dict
) -> None:
    flags: list[str] = []
    while True:
        with training(extracted, *flags) as process:
            run_id = wait_for_mid_epoch(process, workspace)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        time.sleep(3)  # until its workers have noticed
        left = position_of(workspace, run_id)
        assert not left.finished
        if left.batch:
            break
        flags = [f"--resume={run_id}"]  # by chance it stood at an epoch's end: once more
    finish(extracted, f"--resume={run_id}")
    assert runs(workspace) == {run_id}
    assert_same(histories(workspace, run_id), uninterrupted)


def test_a_killed_worker_is_replaced_and_the_job_ends_with_the_same_metrics(
    extracted: Path, workspace: Path, uninterrupted: dict
) -> None:
    with training(extracted) as process:
        run_id = wait_for_mid_epoch(process, workspace)
        workers = worker_processes(process.pid)
        assert len(workers) == 2
        os.kill(workers[0], signal.SIGKILL)
        at_the_kill = position_of(workspace, run_id)
        output, _ = process.communicate(timeout=MAX_S)
        assert process.returncode == 0, output
    assert not at_the_kill.finished
    assert_same(histories(workspace, run_id), uninterrupted)


def test_a_worker_lost_too_often_ends_the_job_with_one_line_that_says_how_to_go_on(
    extracted: Path, workspace: Path
) -> None:
    with training(extracted, "--max_failures=0") as process:
        run_id = wait_for_mid_epoch(process, workspace)
        os.kill(worker_processes(process.pid)[0], signal.SIGKILL)
        output, _ = process.communicate(timeout=MAX_S)
    assert process.returncode == 1
    (error,) = [line for line in output.splitlines() if line.startswith("error: ")]
    assert re.search(
        r"workers were lost more than max_failures \(0\) times.* worker \d died", error
    )
    assert error.endswith(f"--resume {run_id}")
    assert "Traceback" not in output
