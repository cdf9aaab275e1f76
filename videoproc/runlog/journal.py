"""Runs that wait in the workspace for a server that does not answer.

The journal is an MLflow store of its own below `<workspace>/journal`: SQLite and a folder of
artifacts. `waiting/<run id>` stands for each run in it that the server has not, or of which it has
only a part. Who writes to such a run holds the file's lock with others, who sends it holds it
alone: so nothing is written to a run while it is sent, and nothing is sent of a run at work.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import mlflow

from videoproc.runlog import store

JOURNAL_ID = "journal_id"
"""The tag of a sent run that holds the id that it had in the journal."""

AMENDMENTS = "amendments"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A run that waits. run_id: as jobs know it. local_id: as the journal's store does.

    whole: it holds all that its run holds; otherwise the server has the rest.
    """

    run_id: str
    local_id: str
    whole: bool


def folder(workspace: Path) -> Path:
    return workspace / "journal"


def client(workspace: Path) -> mlflow.MlflowClient:
    """The client of the journal's store; it is made where there is none yet."""
    place = folder(workspace)
    place.mkdir(parents=True, exist_ok=True)
    (place / "making").touch()
    with _lock(place / "making", fcntl.LOCK_EX):
        return store.client_of(_uri(workspace))


def is_own(workspace: Path, of: mlflow.MlflowClient) -> bool:
    """Whether a client is the journal's."""
    return bool(of.tracking_uri == _uri(workspace))


def _uri(workspace: Path) -> str:
    return f"sqlite:///{folder(workspace) / 'mlflow.db'}"


def waiting(workspace: Path) -> list[str]:
    """The ids of the runs that wait."""
    place = folder(workspace) / "waiting"
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def begin(
    workspace: Path,
    experiment: str,
    *,
    tags: Mapping[str, str],
    name: str,
    hold: ExitStack,
    run_id: str | None = None,
    whole: bool = True,
) -> Entry | None:
    """A new run in the journal, or one that goes on with `run_id` of the server's; it is not sent
    while `hold` is open. None where the journal has an entry of this run already."""
    own = client(workspace)
    location = (folder(workspace) / "artifacts" / experiment).as_uri()
    experiment_id = store.experiment(own, experiment, location)
    local_id = own.create_run(experiment_id, tags=dict(tags), run_name=name).info.run_id
    entry = Entry(run_id=run_id or local_id, local_id=local_id, whole=whole)
    path = _path(workspace, entry.run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _lock(folder(workspace) / "making", fcntl.LOCK_EX):
        if path.is_file() and path.stat().st_size:
            own.delete_run(local_id)
            return None
        path.touch()
        hold.enter_context(_lock(path, fcntl.LOCK_SH))
        path.write_text(json.dumps(asdict(entry)))
    return entry


def amend(workspace: Path, run_id: str, *, hold: ExitStack) -> Entry | None:
    """The entry that takes what is written to a run of the server's after its job has ended."""
    return begin(workspace, AMENDMENTS, tags={}, name=run_id, hold=hold, run_id=run_id, whole=False)


@contextmanager
def shared(workspace: Path, run_id: str) -> Iterator[Entry | None]:
    """The entry of a run, which is not sent for the length of a `with`; None where there is none.

    Waits for the end of a sending, after which there is none.
    """
    with _entry(workspace, run_id, fcntl.LOCK_SH) as entry:
        yield entry


@contextmanager
def alone(workspace: Path, run_id: str) -> Iterator[Entry | None]:
    """The entry of a run that nobody writes to; None where there is none or somebody does."""
    with _entry(workspace, run_id, fcntl.LOCK_EX | fcntl.LOCK_NB) as entry:
        yield entry


@contextmanager
def replaying(workspace: Path) -> Iterator[bool]:
    """Whether this process, and no other, sends what waits."""
    (folder(workspace) / "replaying").touch()
    with _lock(folder(workspace) / "replaying", fcntl.LOCK_EX | fcntl.LOCK_NB) as got:
        yield got


def drop(workspace: Path, entry: Entry) -> None:
    """Take a run that was sent out of the journal."""
    _path(workspace, entry.run_id).unlink()
    client(workspace).delete_run(entry.local_id)


def _path(workspace: Path, run_id: str) -> Path:
    return folder(workspace) / "waiting" / run_id


@contextmanager
def _entry(workspace: Path, run_id: str, kind: int) -> Iterator[Entry | None]:
    path = _path(workspace, run_id)
    # Ids come from the command line too; no other spelling names a file of ours.
    if not re.fullmatch(r"[0-9a-zA-Z_-]+", run_id) or not path.is_file():
        yield None
        return
    with _lock(path, kind) as got:
        text = path.read_text() if got else ""
        yield Entry(**json.loads(text)) if text else None


@contextmanager
def _lock(path: Path, kind: int) -> Iterator[bool]:
    """Whether the lock was got; False too where the file was taken away meanwhile."""
    try:
        handle = path.open("r+")
    except FileNotFoundError:
        yield False
        return
    with handle:
        try:
            fcntl.flock(handle, kind)
        except BlockingIOError:
            yield False
            return
        yield path.is_file() and os.path.samestat(os.fstat(handle.fileno()), path.stat())
