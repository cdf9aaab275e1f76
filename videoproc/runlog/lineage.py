"""What runs used: the versions of tables that they name, the videos that they learned from or were
measured on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import Run as MlflowRun

from videoproc.masking import masked
from videoproc.runlog import journal, store
from videoproc.storage import Anywhere

LEARNED_FROM = "learned_from.json"
"""The artifact of a training run that lists the videos and groups of its splits."""

MEASURED_ON = "measured_on.json"
"""The artifact of an evaluation that lists the videos and groups of its split."""

PICTURED = "pictured.json"
"""The artifact of a run of predict that lists the videos in its pictures."""

BEGAN_AS = "init_from"
"""The tag of a training run that names the run with whose weights it began."""

ENSEMBLE = "ensemble_id"
"""The tag of a run of predict that applied several runs together: their id in predictions."""

MEMBERS = "members"
"""The tag of a run that took several together which names these, with commas between."""

FOLDED = ("cross_validate", "ensemble")
"""The jobs that learn and measure over folds, each video once."""

LEARNERS = ("train", *FOLDED)
HELD_BY = dict.fromkeys(LEARNERS, LEARNED_FROM) | {"evaluate": MEASURED_ON}
VERBS = dict.fromkeys(LEARNERS, "has learned from") | {"evaluate": "was measured on"}
TABLE_VERSION = "table_version."
READERS = 8  # each waits for a small file of the server's


@dataclass(frozen=True, kw_only=True)
class Use:
    """What one run had to do with a video.

    splits: those in which the run held the video itself. groups: those in which it held a video of
    the same group. versions: of the tables that the run names, those that hold the video.
    is_pictured: whether the run's pictures show it. began_as: the run with whose weights it began,
    and whose splits count among its own.
    """

    run_id: str
    job: str
    name: str
    versions: Mapping[str, int]
    splits: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    is_pictured: bool = False
    began_as: str | None = None

    @property
    def has_learned(self) -> bool:
        return self.job in LEARNERS and "train" in self.splits

    @property
    def said(self) -> str:
        """The use in words."""
        began = f"; it began with the weights of run {self.began_as}" if self.began_as else ""
        return self._done + began

    @property
    def _done(self) -> str:
        if self.job == "train" and self.splits == ("val",):
            return "has not learned from it, and chose its checkpoint by it, in split val"
        if self.job in FOLDED and self.splits and not self.has_learned:
            return f"has not learned from it, and held it in split {', '.join(self.splits)}"
        if self.splits:
            return f"{VERBS[self.job]} it, in split {', '.join(self.splits)}"
        if self.groups:
            return f"{VERBS[self.job]} others of its group, in split {', '.join(self.groups)}"
        if self.is_pictured:
            return "shows it in its pictures"
        named = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return f"names table versions with it: {named}"


def named_versions(data: Anywhere, workspace: Path) -> dict[str, set[int]]:
    """By table, the versions that any run of a dataset names in a tag `table_version.<table>`.

    A UserError where the server does not answer: who deletes versions must not guess.
    """
    versions: dict[str, set[int]] = defaultdict(set)
    for _, run in _all_runs(data, workspace):
        for name, version in _named_by(run).items():
            versions[name].add(version)
    return dict(versions)


def knows(data: Anywhere, workspace: Path) -> bool:
    """Whether there is any run of a dataset in this folder."""
    return any(_is_of(run, data) for _, run in _all_runs(data, workspace))


def uses_of(
    *,
    data: Anywhere,
    workspace: Path,
    video_id: str,
    group: str | None = None,
    versions: Mapping[str, Collection[int]] | None = None,
) -> list[Use]:
    """The runs that used a video, the newest first. What one has learned from, was measured on or
    shows is told by content; groups and table versions mean something in one dataset's folder only.

    versions: by table, those that hold it. Errors: UserError where the server does not answer.
    """
    there = versions or {}

    def use(found: tuple[mlflow.MlflowClient, MlflowRun]) -> Use:
        client, run = found
        held, own = _held_by(client, run), _is_of(run, data)
        return Use(
            run_id=store.known_id(run),
            job=run.data.tags.get("job", ""),
            name=run.info.run_name,
            versions={
                name: version
                for name, version in _named_by(run).items()
                if own and version in there.get(name, ())
            },
            splits=tuple(split for split, names in held.items() if video_id in names["videos"]),
            groups=tuple(s for s, names in held.items() if own and group in names["groups"]),
            is_pictured=video_id in _pictured_by(client, run),
            began_as=run.data.tags.get(BEGAN_AS),
        )

    with ThreadPoolExecutor(READERS) as pool:
        uses = list(pool.map(use, _all_runs(data, workspace)))
    return [one for one in uses if one.splits or one.groups or one.versions or one.is_pictured]


def members_of(data: Anywhere, workspace: Path) -> dict[str, list[str]]:
    """The runs behind each id in a dataset's predictions that stands for several together.

    Errors: UserError where the server does not answer.
    """
    tags = [run.data.tags for _, run in _all_runs(data, workspace)]
    return {one[ENSEMBLE]: one[MEMBERS].split(",") for one in tags if ENSEMBLE in one}


def _all_runs(data: Anywhere, workspace: Path) -> list[tuple[mlflow.MlflowClient, MlflowRun]]:
    """Every run of a dataset's two experiments, whatever its status, with the client of its store;
    then those that wait in the journal."""
    client, names = store.connect(workspace), store.experiments_of(data.name)

    def everything(client: mlflow.MlflowClient, names: tuple[str, ...]) -> list[MlflowRun]:
        return list(store.search(client, store.named_experiments(client, names)))

    found = [(client, run) for run in store.demand(client, everything, names, what=_used(data))]
    if not journal.waiting(workspace):
        return found
    own = journal.client(workspace)
    return found + [(own, run) for run in everything(own, (*names, journal.PARTS))]


def _is_of(run: MlflowRun, data: Anywhere) -> bool:
    """Whether a run is of this folder; datasets of one name share their experiments."""
    return run.data.tags.get("data") == masked(str(data))


def _named_by(run: MlflowRun) -> dict[str, int]:
    return {
        key.removeprefix(TABLE_VERSION): int(value)
        for key, value in run.data.tags.items()
        if key.startswith(TABLE_VERSION) and value.isdigit()
    }


def _held_by(client: mlflow.MlflowClient, run: MlflowRun) -> dict[str, dict[str, list[str]]]:
    """By split, the videos and groups that a run held; none where it ended before saying so."""
    name = HELD_BY.get(run.data.tags.get("job", ""))
    return {} if name is None else _read_json(client, run, name) or {}


def _pictured_by(client: mlflow.MlflowClient, run: MlflowRun) -> list[str]:
    """The ids of the videos in a run's pictures."""
    is_predict = run.data.tags.get("job") == "predict"
    return (_read_json(client, run, PICTURED) or []) if is_predict else []


def _read_json(client: mlflow.MlflowClient, run: MlflowRun, name: str) -> Any:
    """An artifact of a run; None where it has none of this name."""

    def read(client: mlflow.MlflowClient, run_id: str) -> bytes:
        return store.artifact(client, run_id, name) or b"null"

    run_id = run.info.run_id
    return json.loads(store.demand(client, read, run_id, what=_used(run_id)))


def _used(by: object) -> str:
    return f"what the runs of {by} used"
