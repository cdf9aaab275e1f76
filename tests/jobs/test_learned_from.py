"""What a model counts as learned: its own, and along the chain all that it began as."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.learned_from import Seen, seen_before, seen_by, with_parents
from videoproc import runlog
from videoproc.types import Video


def held(*names: str) -> dict[str, dict[str, Any]]:
    """One video and one group of each name, in train; none in val."""
    own = {"videos": [f"video {n}" for n in names], "groups": [f"group {n}" for n in names]}
    return {"train": own, "val": {"videos": [], "groups": []}}


def learn(name: str, data: Path, workspace: Path, *, began_as: runlog.Run | None) -> runlog.Run:
    with runlog.job_run("train", data=data, workspace=workspace, config={}) as run:
        run.log_json(with_parents(held(name), began_as, data=data), runlog.LEARNED_FROM)
    return runlog.open_run(run.run_id, workspace=workspace)


@pytest.fixture
def chain(workspace: Path, tmp_path: Path) -> list[runlog.Run]:
    """Of dataset a, then of b, then of c, then of a again; each began as the one before."""
    runs: list[runlog.Run] = []
    for name, data in (("1", "a"), ("2", "b"), ("3", "c"), ("4", "a")):
        before = runs[-1] if runs else None
        runs.append(learn(name, tmp_path / data, workspace, began_as=before))
    return runs


def test_along_the_chain_all_videos_count_and_in_each_dataset_its_groups(
    chain: list[runlog.Run], tmp_path: Path
) -> None:
    def groups(run: runlog.Run, data: str) -> list[str]:
        return sorted(seen_by(run, data=tmp_path / data, splits=["train", "val"]).groups)

    *_, third, last = chain
    assert [groups(third, data) for data in "abcd"] == [["group 1"], ["group 2"], ["group 3"], []]
    assert groups(last, "a") == ["group 1", "group 4"]
    assert [groups(last, data) for data in "bc"] == [["group 2"], ["group 3"]]
    seen = seen_by(last, data=tmp_path / "d", splits=["train"])
    assert seen.videos == {f"video {n}" for n in "1234"}
    assert seen_by(last, data=tmp_path / "a", splits=["val"]) == Seen(
        videos=frozenset(), groups=frozenset()
    )


def test_groups_of_the_own_dataset_stand_where_lineage_looks_for_them(
    chain: list[runlog.Run],
) -> None:
    last = chain[-1].read_json(runlog.LEARNED_FROM)["train"]
    assert last["groups"] == ["group 1", "group 4"]


def test_what_began_at_random_is_recorded_as_before(workspace: Path, tmp_path: Path) -> None:
    run = learn("1", tmp_path / "a", workspace, began_as=None)
    assert run.read_json(runlog.LEARNED_FROM) == held("1")


def test_a_split_that_the_parent_does_not_have_is_as_it_is(
    chain: list[runlog.Run], tmp_path: Path
) -> None:
    own = held("own") | {"test": {"videos": ["video t"], "groups": ["group t"]}}
    assert with_parents(own, chain[0], data=tmp_path / "a")["test"] == own["test"]


def test_videos_that_were_learned_from_are_counted_by_the_split_that_they_spoil(
    tmp_path: Path,
) -> None:
    def video(name: str, split: str, group: str) -> Video:
        return Video(
            video_id=name,
            digest="0" * 64,
            uri=name,
            size_bytes=1,
            num_frames=1,
            duration_s=1.0,
            split=split,
            group=group,
        )

    videos = [
        video("video 1", "test", "group x"),
        video("video x", "test", "group 1"),
        video("video y", "test", "group y"),
        video("video z", "val", "group 1"),
    ]
    assert seen_before(held("1"), videos, data=tmp_path) == {"test": 2, "val": 1}
