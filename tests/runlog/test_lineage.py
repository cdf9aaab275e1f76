"""What runs used, asked of all of them, wherever they are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runlog.conftest import Back, JobRun, failed_run
from videoproc import runlog
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


def test_runs_of_predict_whose_pictures_show_a_video_are_known(
    job_run: JobRun, data: Path, workspace: Path
) -> None:
    with job_run("predict") as shows:
        shows.log_json(["a1", "b1"], runlog.PICTURED)
    with job_run("predict"):
        pass  # without pictures
    with job_run("train") as other:
        other.log_json(["a1"], runlog.PICTURED)
    assert learned(data, workspace, "a1") == [f"{shows.run_id} shows it in its pictures"]
    assert learned(data, workspace, "c1") == []


def test_ids_that_stand_for_several_runs_are_known_by_who_predicted_with_them(
    job_run: JobRun, data: Path, workspace: Path
) -> None:
    for name, members in (("both", "r,s"), ("all", "q,r,s"), ("both", "r,s")):
        with job_run("predict") as run:
            run.set_tags({runlog.ENSEMBLE: name, runlog.MEMBERS: members})
    with job_run("ensemble") as run:  # of cross-validations
        run.set_tags({runlog.MEMBERS: "t,u"})
    expected = {"both": ["r", "s"], "all": ["q", "r", "s"]}
    assert runlog.members_of(data, workspace) == expected


def learned(data: Path, workspace: Path, video_id: str, group: str | None = None) -> list[str]:
    """What the runs that used a video are said to have done, the newest run first."""
    uses = runlog.uses_of(data=data, workspace=workspace, video_id=video_id, group=group)
    return [f"{use.run_id} {use.said}" for use in uses]


def test_the_runs_that_learned_from_a_video_or_its_group_are_known_the_newest_first(
    job_run: JobRun, data: Path, workspace: Path
) -> None:
    first, second = train_on(job_run, "a1", "b1"), train_on(job_run, "b1", "a2")
    with job_run():
        pass  # it ended before it learned
    with job_run("index") as other:
        other.log_json({"train": {"videos": ["a1"], "groups": ["a"]}}, runlog.LEARNED_FROM)

    assert learned(data, workspace, "a1") == [f"{first} has learned from it, in split train"]
    assert learned(data, workspace, "b1", "b") == [
        f"{second} has learned from it, in split train",
        f"{first} has not learned from it, and chose its checkpoint by it, in split val",
    ]
    assert learned(data, workspace, "a9", "a") == [
        f"{second} has learned from others of its group, in split val",
        f"{first} has learned from others of its group, in split train",
    ]
    assert learned(data, workspace, "c1") == []


def test_an_evaluation_is_known_by_what_it_was_measured_on(
    job_run: JobRun, data: Path, workspace: Path
) -> None:
    with job_run("evaluate") as run:
        run.log_json({"test": {"videos": ["a1"], "groups": []}}, runlog.MEASURED_ON)
    assert learned(data, workspace, "a1") == [f"{run.run_id} was measured on it, in split test"]


def test_a_run_that_names_a_version_with_the_video_in_it_is_known(
    job_run: JobRun, data: Path, workspace: Path
) -> None:
    for version in (3, 4):
        with job_run("extract") as run:
            run.set_tags({"table_version.clips": version})
    (use,) = runlog.uses_of(
        data=data, workspace=workspace, video_id="a1", versions={"clips": (1, 4)}
    )
    assert (use.run_id, use.versions) == (run.run_id, {"clips": 4})
    assert use.said == "names table versions with it: clips 4"


def test_who_learned_is_known_of_runs_on_the_server_and_of_those_that_wait(
    job_run: JobRun,
    data: Path,
    workspace: Path,
    back: Back,
    away: str,
) -> None:
    with pytest.raises(UserError, match=f"MLflow does not answer at {away}"):
        learned(data, workspace, "a1")
    waits = train_on(job_run, "a1", "b1")
    back()
    expected = [f"{waits} has learned from it, in split train"]
    assert learned(data, workspace, "a1") == expected
    assert runlog.replay(workspace) == 1  # it has another id on the server
    assert learned(data, workspace, "a1") == expected
