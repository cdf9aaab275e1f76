"""The runs that used a video: that learned from it, were measured on it, or read tables with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.entities import Run as MlflowRun

from videoproc.runlog import journal
from videoproc.runlog.lineage import LEARNED_FROM, READERS, all_runs, held_by
from videoproc.storage import Anywhere

MEASURED_ON = "measured_on.json"
"""The artifact of an evaluation that lists the videos and groups of its split."""

ARTIFACTS = {"train": LEARNED_FROM, "evaluate": MEASURED_ON}
TABLE_VERSION = "table_version."


@dataclass(frozen=True, kw_only=True)
class Use:
    """What one run had to do with a video.

    splits: those in which the run held the video itself. groups: those in which it held others of
    the video's group only. versions: of the tables that the run names, those that hold the video.
    """

    run_id: str
    job: str
    name: str
    versions: Mapping[str, int]
    splits: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @property
    def has_learned(self) -> bool:
        return self.job == "train" and bool(self.splits)

    @property
    def said(self) -> str:
        """The use in words."""
        verb = {"train": "has learned from", "evaluate": "was measured on"}.get(self.job, "used")
        if self.splits:
            return f"{verb} it, in split {', '.join(self.splits)}"
        if self.groups:
            return f"{verb} others of its group, in split {', '.join(self.groups)}"
        named = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"names table versions that hold it: {named}"


def uses_of(
    *,
    data: Anywhere,
    workspace: Path,
    video_id: str,
    group: str | None = None,
    versions: Mapping[str, Collection[int]],
) -> list[Use]:
    """The runs of a dataset that used a video, the newest first.

    versions: by table, those that hold it. Errors: UserError where the server does not answer.
    """
    runs = all_runs(data, workspace)

    def use(one: tuple[mlflow.MlflowClient, MlflowRun]) -> Use:
        return _use(*one, workspace, video_id, group, versions)

    with ThreadPoolExecutor(READERS) as pool:
        return [u for u in pool.map(use, runs) if u.splits or u.groups or u.versions]


def _use(
    client: mlflow.MlflowClient,
    run: MlflowRun,
    workspace: Path,
    video_id: str,
    group: str | None,
    versions: Mapping[str, Collection[int]],
) -> Use:
    tags, job = run.data.tags, run.data.tags.get("job", "")
    named = {
        key.removeprefix(TABLE_VERSION): int(value)
        for key, value in tags.items()
        if key.startswith(TABLE_VERSION) and value.isdigit()
    }
    held = held_by(client, run, workspace, ARTIFACTS[job]) if job in ARTIFACTS else {}
    return Use(
        run_id=tags.get(journal.JOURNAL_ID, run.info.run_id),
        job=job,
        name=run.info.run_name,
        splits=tuple(split for split, names in held.items() if video_id in names["videos"]),
        groups=tuple(split for split, names in held.items() if group in names["groups"]),
        versions={
            name: version for name, version in named.items() if version in versions.get(name, ())
        },
    )
