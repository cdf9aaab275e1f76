"""Training on nodes that go, with and without a word: it ends as if nothing had been."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.three_nodes import Nodes, cluster_in, kill_all_but_decoders
from videoproc import runlog
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Position

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EPOCHS = 40
MAX_S = 400
HEAD = 1
# An epoch of about a second. With dropout: what was drawn must be drawn again.
MODEL = '{"channels": [128, 192, 256], "features": 256, "hidden": 256, "dropout": 0.3}'
TIMING = ("train/seconds", "train/clips_per_second", "train/data_wait_share")


@pytest.fixture(scope="module")
def shrinking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Four nodes, of which each test takes one away; the last one needs no spare."""
    with cluster_in(tmp_path_factory.mktemp("shrinking") / "workspace", number=4) as nodes:
        yield nodes


@pytest.fixture
def clips(_extracted: Path) -> Path:
    """The small corpus with clips, for every run the same. Read it only."""
    return _extracted


@pytest.fixture(scope="module")
def undisturbed(shrinking: Nodes, _extracted: Path) -> Path:
    """The last checkpoint of a run of two workers that nothing happens to."""
    with training(shrinking, _extracted) as run:
        run.finish()
        return run.last


class Run:
    """A training of the user's, as a process, and the checkpoints that it writes."""

    def __init__(self, nodes: Nodes, process: subprocess.Popen[str], known: set[str]) -> None:
        self.nodes, self.process, self._known = nodes, process, known

    @property
    def folder(self) -> Path | None:
        new = runs(self.nodes.workspace) - self._known
        return self.nodes.workspace / "runs" / new.pop() if new else None

    @property
    def position(self) -> Position:
        while True:
            try:
                return checkpoint.last_position(self.folder) if self.folder else Position()
            except FileNotFoundError:  # a newer one has taken its place meanwhile
                continue

    @property
    def last(self) -> Path:
        assert self.folder is not None
        return max(self.folder.glob("step-*"))

    def wait(self, condition: Callable[[Position], bool]) -> Position:
        deadline = time.monotonic() + MAX_S
        while not condition(position := self.position):
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return position

    def finish(self) -> str:
        said, _ = self.process.communicate(timeout=MAX_S)
        assert self.process.returncode == 0, said
        assert self.position.finished
        return said

    def wait_for_workers(self, number: int) -> list[int]:
        """The nodes of that many workers by number, the head last."""
        while len(found := self._nodes_that_train()) != number:
            assert self.process.poll() is None, self.process.communicate()[0]
            time.sleep(0.1)
        return found

    def _nodes_that_train(self) -> list[int]:
        numbers = self.nodes.numbers()
        return sorted(
            (
                numbers[actor["node_id"]]
                for actor in self.nodes.ask("actors")
                if "TrainWorker" in actor["class_name"] and actor["state"] == "ALIVE"
            ),
            reverse=True,
        )


@contextmanager
def training(nodes: Nodes, data: Path, *flags: str) -> Iterator[Run]:
    known = runs(nodes.workspace)
    command = ["-m", "pipelines.train", "--data", str(data), "--model", "cnn_gru"]
    settings = (f"--model_settings={MODEL}", f"--loop.epochs={EPOCHS}", "--loop.batch_size=2")
    workers = ("--workers=2", "--cpus_per_worker=1")
    words = (*command, *settings, *workers, *flags)
    with nodes.start(*words, more=nodes.exports()) as process:
        try:
            yield Run(nodes, process, known)
        finally:
            process.kill()  # where it has not ended by itself


def runs(workspace: Path) -> set[str]:
    return {path.name for path in (workspace / "runs").glob("*")}


def in_mid_epoch(position: Position) -> bool:
    return position.epoch >= 1 and position.batch > 0


def measured(position: Position) -> list[dict[str, float]]:
    return [
        {name: value for name, value in metrics.items() if name not in TIMING}
        for metrics in position.history
    ]


def assert_same(made: Path, wanted: Path) -> None:
    """Weights, the optimiser's state and every epoch's metrics are equal to the last bit."""
    for file in (checkpoint.MODEL, checkpoint.OPTIMISER):
        assert (made / file).read_bytes() == (wanted / file).read_bytes()
    positions = [checkpoint.read_position(folder) for folder in (made, wanted)]
    assert measured(positions[0]) == measured(positions[1])


def test_a_node_that_does_not_see_the_checkpoints_is_named_before_training_starts(
    shrinking: Nodes, clips: Path, tmp_path: Path
) -> None:
    # Another folder for every process, as a path is on machines that share no disk.
    checkpoints = ("--checkpoints", "/proc/self/cwd/checkpoints", "--workers", "2")
    command = ("-m", "pipelines.train", "--data", str(clips), "--model", "cnn", *checkpoints)
    done = subprocess.run(
        [sys.executable, *command],
        cwd=tmp_path,
        env=shrinking.environ(shrinking.exports()),
        capture_output=True,
        text=True,
        timeout=MAX_S,
    )
    assert done.returncode == 2, done.stderr
    assert re.search(r"^error: checkpoints .* which node \w+ does not see: name a", done.stderr)
    assert not any(actor["class_name"].endswith("TrainWorker") for actor in shrinking.ask("actors"))


def test_at_a_notice_a_checkpoint_is_written_and_another_node_takes_over(
    shrinking: Nodes, clips: Path, undisturbed: Path
) -> None:
    # No checkpoints within epochs are asked for: what stands in one was written for the notice.
    with training(shrinking, clips) as run:
        leaving = run.wait_for_workers(2)[0]
        assert leaving != HEAD
        with notice(shrinking, leaving, seconds=8):
            run.wait(lambda position: position.batch > 0)
        said = run.finish()
        assert "checkpoint now" in said
        assert "2 worker(s) go on from the last checkpoint" in said
        assert_same(run.last, undisturbed)
    kill_all_but_decoders(shrinking, node=leaving)  # as the cloud does


@contextmanager
def notice(nodes: Nodes, number: int, *, seconds: int) -> Iterator[None]:
    """What a cloud's notice comes to, by Ray's own command; it returns late."""
    (node_id,) = [node_id for node_id, n in nodes.numbers().items() if n == number]
    with nodes.start(
        *("-m", "ray.scripts.scripts", "drain-node", "--address", nodes.state.gcs_address),
        *("--node-id", node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION"),
        *("--reason-message", "spot", "--deadline-remaining-seconds", str(seconds)),
        more=nodes.exports(),
    ) as drain:
        yield
        said, _ = drain.communicate(timeout=MAX_S)
        assert drain.returncode == 0, said


def test_a_node_lost_in_mid_epoch_is_replaced_and_the_run_ends_as_if_it_had_not_been(
    shrinking: Nodes, clips: Path, undisturbed: Path
) -> None:
    with training(shrinking, clips, "--loop.checkpoint_every_steps=5") as run:
        run.wait(in_mid_epoch)
        lost = run.wait_for_workers(2)[0]
        assert lost != HEAD
        kill_all_but_decoders(shrinking, node=lost)
        at_the_kill = run.position
        said = run.finish()
        assert "the workers start again from the last checkpoint" in said
        assert not at_the_kill.finished
        assert_same(run.last, undisturbed)
        run_id = run.last.parent.name
    logged = runlog.open_run(run_id, workspace=shrinking.workspace).history("val/loss")
    assert [epoch for epoch, _ in logged] == list(range(EPOCHS))


def test_with_fewer_allowed_training_goes_on_with_the_workers_that_are_left(
    shrinking: Nodes, clips: Path, undisturbed: Path
) -> None:
    flags = ("--loop.checkpoint_every_steps=5", "--min_workers=1")
    alive = sum(node["state"] == "ALIVE" for node in shrinking.ask("nodes"))
    with training(shrinking, clips, *flags, f"--workers={alive}") as run:
        run.wait(in_mid_epoch)
        lost = run.wait_for_workers(alive)[0]
        assert lost != HEAD
        kill_all_but_decoders(shrinking, node=lost)
        said = run.finish()
        assert f"{alive - 1} worker(s) go on from the last checkpoint" in said
        ended = run.position
    # Other dropout is drawn by another number of workers: the same course, not the same numbers.
    wanted = checkpoint.read_position(undisturbed)
    assert ended.step == wanted.step
    assert len(ended.history) == EPOCHS
    assert json.dumps(measured(ended)) != json.dumps(measured(wanted))
