"""Ctrl-C and SIGTERM: one line, a closed run, a report, and the next night goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from videoproc.report.night import earlier
from videoproc.tables import Dataset

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
VIDEOS = 120
RAYS_OWN_DEATH = "Check failed: it != submissible_tasks_.end()"
"""Of Ray 2.60, where a task is cancelled in the very moment that its end is told: its C++ code ends
the process (https://github.com/ray-project/ray/pull/54527). What was committed is whole."""


@pytest.fixture
def many(tmp_path, write_small):
    for i in range(VIDEOS):
        write_small(tmp_path / "many" / ("walk", "run")[i % 2] / f"{i}.mp4", i)
    return tmp_path / "many"


def start(many, data):
    flags = ("--source", many, "--data", data, "--models", "[]", "--commit_every_s", "0")
    return subprocess.Popen(
        [sys.executable, "-m", "pipelines.nightly", *flags],
        env=os.environ | {"PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_night_that_is_stopped_says_so_in_a_line_and_the_next_goes_on(many, tmp_path, number):
    data = tmp_path / "data"
    night = start(many, data)
    deadline = time.monotonic() + 120
    while not list((data / "clips").glob("part-*")):
        assert night.poll() is None, night.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.002)
    night.send_signal(number)
    said, errors = night.communicate(timeout=120)

    died = RAYS_OWN_DEATH in errors
    if not died:
        assert night.returncode == 130, said + errors
        assert "Traceback" not in errors
        assert "SIGTERM received" not in errors
        (line,) = [line for line in errors.splitlines() if line.startswith("error: ")]
        assert "stopped by Ctrl-C or SIGTERM: what was committed is whole" in line
        (record,) = earlier(data, most=9)
        assert record.outcome == "failed"
        assert record.error == "stopped by Ctrl-C or SIGTERM"
        in_then = Dataset(folder=data).clips.read(["clip_id"]).num_rows
        assert record.clips <= in_then < VIDEOS

    again = start(many, data)
    said, errors = again.communicate(timeout=200)
    assert again.returncode == 0, errors
    clips = Dataset(folder=data).clips.read(["clip_id"])["clip_id"].to_pylist()
    assert len(clips) == len(set(clips)) == VIDEOS
    if died:
        pytest.xfail("Ray died of the stop; the next night went on")
