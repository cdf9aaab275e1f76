"""Two jobs on one dataset at once: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.index import IndexConfig, index
from videoproc.storage import at
from videoproc.tables import Dataset

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
VIDEOS = 24


@pytest.fixture(params=["local", "s3"])
def data(request, tmp_path):
    """The folder of a dataset on this machine's disk, or on a real S3 endpoint."""
    if request.param == "local":
        return str(tmp_path / "data")
    return f"{request.getfixturevalue('bucket')}/data"


@pytest.fixture
def many(tmp_path, write_small, write_undecodable):
    """A corpus of 24 good videos and a bad one."""
    for i in range(VIDEOS):
        write_small(tmp_path / "many" / ("walk", "run")[i % 2] / f"{i}.mp4", i)
    write_undecodable(tmp_path / "many" / "run" / "bad.mp4", 99)
    return tmp_path / "many"


def start(job, *arguments, workspace):
    return subprocess.Popen(
        [sys.executable, "-m", f"pipelines.{job}", *arguments],
        env=os.environ | {"PYTHONPATH": str(PROJECT), "VIDEOPROC_WORKSPACE": str(workspace)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_extracts_at_once_make_each_clip_once(many, data, tmp_path):
    index(IndexConfig(source=str(many), data=data))
    flags = ("--data", data, "--inline", "--commit_every_s", "0")
    drivers = [start("extract", *flags, workspace=tmp_path / f"ws{i}") for i in range(2)]
    ended = [(driver.communicate(timeout=200)[0], driver.returncode) for driver in drivers]
    assert [code for _, code in ended] == [0, 0], ended

    dataset = Dataset(folder=at(data))
    clips = dataset.clips.read(["clip_id"])["clip_id"].to_pylist()
    assert len(clips) == len(set(clips)) == VIDEOS
    keys = dataset.features.read(["clip_id", "feature_id"]).to_pylist()
    assert len(keys) == len({tuple(key.values()) for key in keys}) == 2 * VIDEOS
    (failed,) = dataset.quarantine.read().to_pylist()
    assert failed["uri"].endswith("bad.mp4")
    assert failed["attempts"] in (1, 2), "one may have seen what the other found"


def test_of_two_nights_at_once_one_works_and_the_other_says_so(many, data, tmp_path):
    flags = ("--source", str(many), "--data", data, "--models", "[]")
    nights = [start("nightly", *flags, workspace=tmp_path / f"ws{i}") for i in range(2)]
    ended = sorted((n.communicate(timeout=250)[0], n.returncode) for n in nights)
    codes = sorted(code for _, code in ended)
    said = "\n".join(text for text, _ in ended)
    if codes == [0, 1]:
        assert "another night works on" in said
    else:  # the one was through before the other began
        assert codes == [0, 0], said
        assert "nothing new" in said
    clips = Dataset(folder=at(data)).clips.read(["clip_id"])["clip_id"].to_pylist()
    assert len(clips) == len(set(clips)) == VIDEOS
