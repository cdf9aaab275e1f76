"""`extract` may be killed at any moment: run again, it ends where an uninterrupted run ends."""

from __future__ import annotations

import contextlib
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

from videoproc.tables import Dataset, Table
from videoproc.types import Row

pytestmark = pytest.mark.slow

VIDEOS = 60
KILLS = 20
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

    def wait_for_more_shards(self, count: int) -> bool:
        """Until so many files more than now lie beside the clips, committed or not; False where
        it ends before."""
        folder = Dataset(folder=self.data).clips.folder
        at_first = len(list(folder.glob("part-*")))
        deadline = time.monotonic() + 120
        while len(list(folder.glob("part-*"))) < at_first + count:
            if self.process.poll() is not None:
                return False
            assert time.monotonic() < deadline
            time.sleep(0.002)
        return True

    def kill_worker(self, rng: random.Random) -> int:
        """Kill one of Ray's workers that has a task, or a child of one; 0 where there is none."""
        busy = [pid for pid, name in self.descendants().items() if is_worker(name)]
        if not busy:
            return 0
        with contextlib.suppress(ProcessLookupError):
            os.kill(rng.choice(sorted(busy)), signal.SIGKILL)
        return 1

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


def is_worker(name: str) -> bool:
    """A worker or a decoder of one; a node of Ray's whose agents are killed ends as a whole."""
    return "isolate._serve" in name or (name.startswith("ray::") and "Agent" not in name)


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


@pytest.mark.timeout(900)
def test_killed_at_twenty_random_moments_every_clip_is_there_once(
    indexed_60, uninterrupted, tmp_path, rows_of
):
    """Driver, a worker, or all: at 20 moments, over as many datasets as they take."""
    rng, kills, datasets = random.Random(0), 0, 0
    while kills < KILLS:
        data = Path(shutil.copytree(indexed_60, tmp_path / f"data{datasets}"))
        datasets += 1
        kills += kill_until_done(data, rng, most=KILLS - kills)
        rows = rows_of(data)
        assert len({row["clip_id"] for row in rows["clips"]}) == len(rows["clips"]) == 2 * VIDEOS
        assert rows == rows_of(uninterrupted)
        check_vacuum(Dataset(folder=data))
    print(f"{kills} kills over {datasets} datasets")


def kill_until_done(data: Path, rng: random.Random, *, most: int) -> int:
    """Run `extract` on a dataset until a run ends well; how often it was killed."""
    kills = 0
    while True:
        run = Extract(data)
        if kills == most or not run.wait_for_more_shards(rng.randint(1, 4)):
            run.finish()
            return kills
        time.sleep(rng.uniform(0, 0.3))
        target = rng.choice(["driver", "worker", "all"])
        if target == "worker":
            kills += run.kill_worker(rng)
            # The job goes on without it, and may then be killed as a whole.
            if not run.wait_for_more_shards(rng.randint(1, 4)) or kills == most:
                run.finish()
                return kills
            target = "all"
        run.kill(group=target == "all")
        kills += 1


def check_vacuum(dataset: Dataset) -> None:
    """After a vacuum no orphan is left, and a version that a run names still reads."""
    for table in (dataset.clips, dataset.features):
        named = [table.version // 2]
        before = {version: sorted_rows(table, version) for version in [*named, table.version]}
        table.vacuum(keep_versions=named, min_age_s=0)
        kept = {path for version in before for path in table.files(version=version)}
        assert {path for path in table.folder.iterdir() if path.is_file()} == kept
        assert {version: sorted_rows(table, version) for version in before} == before


def sorted_rows(table: Table, version: int) -> list[Row]:
    order = [(column, "ascending") for column in table.key]
    return table.read(version=version).sort_by(order).to_pylist()


def test_a_killed_extract_leaves_nothing_running(indexed_60, tmp_path):
    run = Extract(Path(shutil.copytree(indexed_60, tmp_path / "data")))
    assert run.wait_for_more_shards(2)
    run.kill(group=False)
    started = time.monotonic()
    assert run.still_runs_after(ORPHANS_S) == {}
    print(f"nothing left {time.monotonic() - started:.0f} s later")


def test_an_extract_that_was_not_killed_leaves_nothing_running(indexed_60, tmp_path):
    whole = Extract(Path(shutil.copytree(indexed_60, tmp_path / "data")))
    whole.finish()
    assert whole.still_runs_after(10) == {}
