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

PARTS = "parts"
"""The journal's experiment of entries of which the server has the rest."""


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
    return store.client_of(_uri(workspace), folder=folder(workspace))


def is_own(workspace: Path, of: mlflow.MlflowClient) -> bool:
    """Whether a client is the journal's."""
    return bool(of.tracking_uri == _uri(workspace))


def _uri(workspace: Path) -> str:
    return f"sqlite:///{folder(workspace) / 'mlflow.db'}"


def waiting(workspace: Path) -> list[str]:
    """The ids of the runs that wait."""
    place = folder(workspace) / "waiting"
    return sorted(path.name for path in place.iterdir()) if place.is_dir() else []


def enter(
    workspace: Path,
    experiment: str,
    *,
    hold: ExitStack,
    run_id: str | None = None,
    tags: Mapping[str, str] | None = None,
) -> Entry:
    """The entry of a run, made where there is none yet; it is not sent while `hold` is open.

    run_id: of a run that the server has already; otherwise the run is new.
    experiment: PARTS where the entry is to hold only what the server has not.
    """
    known = {store.JOURNAL_ID: run_id} if run_id else {}
    while True:
        entry = hold.enter_context(entry_of(workspace, run_id)) if run_id else None
        entry = entry or _begin(workspace, experiment, {**(tags or {}), **known}, hold)
        if entry is not None:
            return entry


def _begin(workspace: Path, experiment: str, tags: dict[str, str], hold: ExitStack) -> Entry | None:
    """A new entry; None where another process was faster."""
    own = client(workspace)
    location = (folder(workspace) / "artifacts" / experiment).as_uri()
    made = own.create_run(store.experiment(own, experiment, location), tags=tags)
    local_id, run_id = made.info.run_id, store.known_id(made)
    entry = Entry(run_id=run_id, local_id=local_id, whole=experiment != PARTS)
    path, draft = _path(workspace, run_id), folder(workspace) / f"{local_id}.draft"
    path.parent.mkdir(exist_ok=True)
    file = hold.enter_context(draft.open("w"))
    fcntl.flock(file, fcntl.LOCK_SH)  # before there is anything to be sent
    file.write(json.dumps(asdict(entry)))
    file.flush()
    try:
        os.link(draft, path)
    except FileExistsError:
        own.delete_run(local_id)
        return None
    finally:
        draft.unlink()
    return entry


@contextmanager
def entry_of(workspace: Path, run_id: str, *, alone: bool = False) -> Iterator[Entry | None]:
    """The entry of a run, which is not sent for the length of a `with`; None where there is none.

    Waits for the end of a sending, after which there is none. alone: to send it; nobody writes to
    it for the length of the `with`; None too where somebody does.
    """
    # Ids come from the command line too; no other spelling names a file of ours.
    if not re.fullmatch(r"[0-9a-zA-Z_-]+", run_id):
        yield None
        return
    path = _path(workspace, run_id)
    with _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH) as got:
        yield Entry(**json.loads(path.read_text())) if got else None


@contextmanager
def replaying(workspace: Path) -> Iterator[bool]:
    """Whether this process, and no other, sends what waits."""
    path = folder(workspace) / "replaying"
    path.touch()
    with _lock(path, fcntl.LOCK_EX | fcntl.LOCK_NB) as got:
        yield got


def drop(workspace: Path, entry: Entry) -> None:
    """Take a run that was sent out of the journal."""
    _path(workspace, entry.run_id).unlink()
    client(workspace).delete_run(entry.local_id)


def _path(workspace: Path, run_id: str) -> Path:
    return folder(workspace) / "waiting" / run_id


@contextmanager
def _lock(path: Path, kind: int) -> Iterator[bool]:
    """Whether the lock was got; False too where there is no such file, or none any more."""
    try:
        file = path.open()
    except FileNotFoundError:
        yield False
        return
    with file:
        try:
            fcntl.flock(file, kind)
        except BlockingIOError:
            yield False
            return
        yield path.is_file() and os.path.samestat(os.fstat(file.fileno()), path.stat())
