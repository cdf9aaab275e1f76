"""What runs used, asked of all of them, wherever they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runlog.conftest import Back, JobRun, failed_run
from videoproc import runlog
from videoproc.runlog import Learned
from videoproc.types import UserError


def train_on(job_run: JobRun, train: str, val: str) -> str:
    """The id of a run that learned from one video (of the group of its first letter) a split."""
    with job_run() as run:
        held = {
            split: {"videos": [video], "groups": [video[0]]}
            for split, video in (("train", train), ("val", val))
        }
        run.log_json(held, runlog.LEARNED_FROM)
    return run.run_id


def test_versions_that_any_run_names_are_known_by_table(
    job_run: JobRun, data: Path, workspace: Path
) -> None:
    for job, version in (("train", 3), ("evaluate", 7), ("predict", 3)):
        with job_run(job) as run:
            run.set_tags({"table_version.clips": version, "table_version.manifest": 1})
    failed = failed_run(job_run)
    failed.set_tags({"table_version.predictions/classification": 9, "table_version.x": "-"})
    assert runlog.named_versions(data, workspace) == {
        "clips": {3, 7},
        "manifest": {1},
        "predictions/classification": {9},
    }
    assert runlog.named_versions(data / "another", workspace) == {}


def test_versions_are_not_guessed_while_the_server_is_away(
    job_run: JobRun, data: Path, workspace: Path, away: str
) -> None:
    with job_run() as run:
        run.set_tags({"table_version.clips": 3})
    with pytest.raises(UserError, match=f"MLflow does not answer at {away}"):
        runlog.named_versions(data, workspace)


def test_versions_that_waiting_runs_name_count(
    job_run: JobRun, data: Path, workspace: Path, back: Back
) -> None:
    with job_run() as run:
        run.set_tags({"table_version.clips": 3})
    back()
    assert runlog.named_versions(data, workspace) == {"clips": {3}}


def test_the_runs_that_learned_from_a_video_or_group_are_known_the_newest_first(
    job_run: JobRun, data: Path, workspace: Path
) -> None:
    first, second = train_on(job_run, "a1", "b1"), train_on(job_run, "b1", "a2")
    with job_run():
        pass  # it ended before it learned
    with job_run("evaluate") as measured:
        measured.log_json({"train": {"videos": ["a1"], "groups": ["a"]}}, runlog.LEARNED_FROM)

    def learned(**asked: str) -> list[Learned]:
        return runlog.runs_that_learned(data=data, workspace=workspace, **asked)

    assert learned(video_id="a1") == [Learned(run_id=first, split="train")]
    assert (
        learned(video_id="b1")
        == learned(group="b")
        == [
            Learned(run_id=second, split="train"),
            Learned(run_id=first, split="val"),
        ]
    )
    assert learned(group="a") == [
        Learned(run_id=second, split="val"),
        Learned(run_id=first, split="train"),
    ]
    assert learned(video_id="c1") == []


@pytest.mark.parametrize("asked", [{}, {"video_id": "a", "group": "b"}])
def test_a_video_or_a_group_is_asked_for(
    data: Path, workspace: Path, asked: dict[str, str]
) -> None:
    with pytest.raises(ValueError, match="give a video_id or a group"):
        runlog.runs_that_learned(data=data, workspace=workspace, **asked)


def test_who_learned_is_known_of_runs_on_the_server_and_of_those_that_wait(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    back: Back,
    away: str,
) -> None:
    with pytest.raises(UserError, match=f"MLflow does not answer at {away}"):
        runlog.runs_that_learned(data=data, workspace=workspace, video_id="a1")
    waits = train_on(job_run, "a1", "b1")
    back()
    expected = [Learned(run_id=waits, split="train")]
    assert runlog.runs_that_learned(data=data, workspace=workspace, video_id="a1") == expected
    assert runlog.replay(workspace) == 1  # it has another id on the server
    assert runlog.runs_that_learned(data=data, workspace=workspace, video_id="a1") == expected
