"""What runs used: the versions of tables that they name, the videos that they learned from."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import mlflow
from mlflow.entities import Run as MlflowRun

from videoproc.runlog import journal, store
from videoproc.storage import Anywhere

LEARNED_FROM = "learned_from.json"
"""The artifact of a training run that lists the videos and groups of its splits."""

READERS = 8  # each waits for a small file of the server's


@dataclass(frozen=True, kw_only=True)
class Learned:
    """A training run and the split in which it held what was asked for: train or val."""

    run_id: str
    split: str


def named_versions(data: Anywhere, workspace: Path) -> dict[str, set[int]]:
    """By table, the versions that any run of a dataset names in a tag `table_version.<table>`.

    A UserError where the server does not answer: who deletes versions must not guess.
    """
    versions: dict[str, set[int]] = defaultdict(set)
    for _, run in _all_runs(data, workspace):
        for key, value in run.data.tags.items():
            named = re.fullmatch(r"table_version\.(.+)", key)
            if named and value.isdigit():
                versions[named[1]].add(int(value))
    return dict(versions)


def runs_that_learned(
    *, data: Anywhere, workspace: Path, video_id: str | None = None, group: str | None = None
) -> list[Learned]:
    """The training runs of a dataset that learned from a video, or from any video of a group;
    the newest first. A UserError where the server does not answer."""
    if (video_id is None) == (group is None):
        raise ValueError("give a video_id or a group")
    kind, wanted = ("videos", video_id) if group is None else ("groups", group)
    trained = [
        (client, run)
        for client, run in _all_runs(data, workspace)
        if run.data.tags.get("job") == "train"
    ]
    with ThreadPoolExecutor(READERS) as pool:
        held = list(pool.map(lambda one: _learned_from(*one), trained))
    return [
        Learned(run_id=store.known_id(run), split=split)
        for (_, run), splits in zip(trained, held, strict=True)
        for split, names in splits.items()
        if wanted in names[kind]
    ]


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


def _learned_from(client: mlflow.MlflowClient, run: MlflowRun) -> dict[str, dict[str, list[str]]]:
    """By split, the videos and groups that a training run held; none where it ended before that."""

    def read(client: mlflow.MlflowClient, run_id: str) -> bytes:
        return store.artifact(client, run_id, LEARNED_FROM) or b"{}"

    run_id = run.info.run_id
    return dict(json.loads(store.demand(client, read, run_id, what=_used(run_id))))


def _used(by: object) -> str:
    return f"what the runs of {by} used"
