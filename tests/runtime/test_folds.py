"""Parts that are learned from side by side: the same answers as one after the other."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from videoproc.learning.learner import Learner, Part, Told
from videoproc.learning.samples import Sample
from videoproc.runtime import folds
from videoproc.runtime.folds import FoldLostError, FoldWorkers, Work, fair_cpus, learn_all
from videoproc.runtime.shared_folder import held
from videoproc.storage import Anywhere
from videoproc.tables.clip_reader import Place
from videoproc.types import UserError

SAMPLES = [Sample(place=Place(Path("none"), 0, i), row={"clip_id": str(i)}) for i in range(12)]


def make_learner(action: str = "") -> Learner:
    """Learns some weights; its class is of this call, so that workers get it by value."""

    @dataclass(frozen=True)
    class Small:
        action: str

        def learn(self, part: Part, *, seed: int, folder: Anywhere) -> Told:
            assert isinstance(folder, Path)
            folder.mkdir(parents=True, exist_ok=True)
            tries = len(list(folder.glob("try *")))
            (folder / f"try {tries}").touch()
            if self.action == "refuse" and seed == 2:
                raise UserError("seed 2 is none: use another")
            if self.action == "die once" and seed == 1 and tries == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.action == "die" and seed == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            torch.manual_seed(seed)
            weights = torch.randn(64, 512)
            numbers = torch.tensor([float(s.row["clip_id"]) for s in part.test])
            losses = (numbers[:, None] @ weights.sum(1)[None] / 7).sum(1).numpy()
            return Told(
                spec={"threads": torch.get_num_threads(), "pid": os.getpid(), "tries": tries + 1},
                scores={"of": np.array([s.row["clip_id"] for s in part.train])},
                losses=losses,
            )

    return Small(action)


def learn(
    folder: Path, workers: FoldWorkers, action: str = "", *, count: int = 3
) -> dict[int, Told]:
    work = [
        Work(train=[n, n + 1], val=[n + 2], test=[n, 5, 11], seed=n, folder=folder / f"part {n}")
        for n in range(count)
    ]
    found = learn_all(
        work,
        folder=folder,
        learner=make_learner(action),
        samples=SAMPLES,
        workers=workers,
        parts=count,
        cores_here=3,
        say=print,
    )
    return dict(found)


@pytest.mark.usefixtures("ray_cluster")
def test_side_by_side_and_one_after_the_other_tell_the_same_to_the_byte(tmp_path: Path) -> None:
    parallel = learn(tmp_path / "parallel", FoldWorkers())
    inline = learn(tmp_path / "inline", FoldWorkers(inline=True))
    assert sorted(parallel) == sorted(inline) == [0, 1, 2]
    for number, told in parallel.items():
        assert told.losses.tobytes() == inline[number].losses.tobytes()
        assert told.scores["of"].tolist() == inline[number].scores["of"].tolist()
        assert told.spec["threads"] == inline[number].spec["threads"] == 1
    assert {told.spec["pid"] for told in inline.values()} == {os.getpid()}
    assert os.getpid() not in {told.spec["pid"] for told in parallel.values()}


def test_inline_leaves_the_threads_of_this_process_as_they_were(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    found = learn(tmp_path, FoldWorkers(inline=True, cpus=before + 1), count=1)
    assert found[0].spec["threads"] == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.usefixtures("ray_cluster")
def test_what_the_user_can_mend_comes_as_such_and_what_was_done_stays(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^seed 2 is none: use another$"):
        learn(tmp_path, FoldWorkers(cpus=3), "refuse", count=4)
    assert (tmp_path / "part 0" / "told.npz").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_fold_whose_process_dies_is_begun_again(tmp_path: Path) -> None:
    found = learn(tmp_path, FoldWorkers(), "die once")
    assert {number: told.spec["tries"] for number, told in found.items()} == {0: 1, 1: 2, 2: 1}


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_one_that_dies_too_often_ends_it_in_a_line(tmp_path: Path) -> None:
    with pytest.raises(FoldLostError, match=r"more than max_failures \(1\) times"):
        learn(tmp_path, FoldWorkers(max_failures=1), "die")


@pytest.mark.usefixtures("ray_cluster")
def test_a_fold_that_another_driver_has_left_at_work_is_waited_for(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as other:
        with held(tmp_path / "part 0", wait=False):
            found = other.submit(learn, tmp_path, FoldWorkers(), count=2)
            while not (tmp_path / "part 1" / "told.npz").is_file():
                assert not found.done() or found.result()
                time.sleep(0.05)
            assert not (tmp_path / "part 0" / "try 0").exists()
        assert sorted(found.result()) == [0, 1]


@pytest.mark.parametrize(
    ("cores", "parts", "each"), [(4, 5, 1), (4, 4, 1), (16, 5, 3), (16, 15, 1), (1, 5, 1)]
)
def test_cores_are_shared_out_so_that_all_are_busy(cores: int, parts: int, each: int) -> None:
    assert fair_cpus(cores, parts=parts) == each


@pytest.mark.usefixtures("ray_cluster")
def test_more_cores_than_any_node_has_are_refused() -> None:
    with pytest.raises(UserError, match="each fold needs a node that has 99 CPU"):
        learn(Path("never"), FoldWorkers(cpus=99))


@pytest.mark.usefixtures("ray_cluster")
def test_memory_and_cores_are_counted_for_each_fold() -> None:
    needs = folds.needs_of_each(FoldWorkers(), parts=2)
    assert needs == {"CPU": 1.0, "memory": folds.FOLD_MEMORY_BYTES}
    assert folds.needs_of_each(FoldWorkers(), parts=1)["CPU"] == 3.0


@pytest.mark.parametrize(("setting", "value"), [("cpus", 0), ("gpus", -1.0), ("max_failures", -1)])
def test_wrong_settings_are_named(setting: str, value: float) -> None:
    with pytest.raises(ValueError, match=f"{setting}.* is {value}: use"):
        FoldWorkers(**{setting: value})  # type: ignore[arg-type]
