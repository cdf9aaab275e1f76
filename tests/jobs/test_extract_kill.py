"""`extract` may be killed at any moment: run again, it ends where an uninterrupted run ends."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import pytest

from videoproc.tables import Dataset

pytestmark = pytest.mark.slow

VIDEOS = 60
# The workers go at once. Two agents of Ray's own, which take no cores, try for a while to tell the
# dead cluster of its death.
ORPHANS_S = 90
FLAGS = ["--augmentation.views", "2", "--commit_every_s", "0"]  # as many commits as there are tasks


class Extract:
    """An `extract` in a process group of its own, whose descendants all carry its mark."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.mark = f"VIDEOPROC_TEST_MARK={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.extract", "--data", str(data), *FLAGS],
            env=os.environ | {name: value},
            start_new_session=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def finish(self) -> str:
        said, _ = self.process.communicate(timeout=120)
        assert self.process.returncode == 0, said
        return said

    def wait_for_shards(self, count: int) -> None:
        """Until so many files more than at first lie beside the clips, committed or not."""
        folder = Dataset(folder=self.data).clips.folder
        deadline = time.monotonic() + 120
        while len(list(folder.glob("part-*"))) < count:
            assert self.process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.002)

    def kill(self, *, group: bool) -> None:
        # What leads a group may have left it: Ray makes the driver lead one of its own.
        if group:
            os.killpg(os.getpgid(self.process.pid), signal.SIGKILL)
        else:
            self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def descendants(self) -> dict[int, str]:
        """What still runs of it, by process id: everything that inherited its mark."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if self.mark.encode() in (folder / "environ").read_bytes():
                    found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # it has ended, or is another user's
        return found

    def still_runs_after(self, seconds: float) -> dict[int, str]:
        """What has not ended by itself within so many seconds from now."""
        deadline = time.monotonic() + seconds
        while (left := self.descendants()) and time.monotonic() < deadline:
            time.sleep(0.2)
        return left


@pytest.fixture(scope="module")
def indexed_60(tmp_path_factory: pytest.TempPathFactory, write_small, make_manifest) -> Path:
    folder = tmp_path_factory.mktemp("sixty")
    for i in range(VIDEOS):
        write_small(folder / "videos" / "walk" / f"{i:02}.mp4", i)
    make_manifest(folder / "videos", folder / "data")
    return folder / "data"


@pytest.fixture(scope="module")
def uninterrupted(indexed_60: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("uninterrupted")
    data = Path(shutil.copytree(indexed_60, folder / "data"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(folder / "workspace"))
        Extract(data).finish()
    return data


# Shards that stand on disk when the kill comes (an uninterrupted run makes 12, one a task, or
# more on many cores), and seconds from then on: in the middle of decoding, writing and committing.
RANDOM = random.Random(0)
MOMENTS = [(shards, RANDOM.uniform(0, 0.15)) for shards in RANDOM.sample(range(1, 12), 5)]


@pytest.mark.parametrize(("shards", "delay_s"), MOMENTS)
@pytest.mark.parametrize("group", [True, False], ids=["group", "driver"])
def test_a_killed_extract_is_made_whole_by_the_next(
    indexed_60, uninterrupted, tmp_path, rows_of, group, shards, delay_s
):
    data = Path(shutil.copytree(indexed_60, tmp_path / "data"))
    killed = Extract(data)
    killed.wait_for_shards(shards)
    time.sleep(delay_s)
    killed.kill(group=group)
    left_running = killed.descendants()
    committed = Dataset(folder=data).clips.read(["clip_id"]).num_rows

    said = Extract(data).finish()

    print(
        f"{committed} of {2 * VIDEOS} clips had been committed; left: {len(left_running)}\n{said}"
    )
    rows = rows_of(data)
    assert len({row["clip_id"] for row in rows["clips"]}) == len(rows["clips"]) == 2 * VIDEOS
    assert rows == rows_of(uninterrupted)
    started = time.monotonic()
    assert killed.still_runs_after(ORPHANS_S) == {}
    print(f"nothing left {time.monotonic() - started:.0f} s later")


def test_an_extract_that_was_not_killed_leaves_nothing_running(indexed_60, tmp_path):
    whole = Extract(Path(shutil.copytree(indexed_60, tmp_path / "data")))
    whole.finish()
    assert whole.still_runs_after(10) == {}
