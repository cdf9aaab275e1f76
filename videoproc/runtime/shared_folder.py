"""The folder in which workers keep their state: whether all nodes see it, and who writes there."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import ray

from videoproc.runtime.placement import Placement
from videoproc.storage import Anywhere
from videoproc.types import UserError

LOOK_S = 60.0
NODE_ID = "ray.io/node-id"  # Ray's own label
DRIVER_WROTE = ".driver"  # in the folder of checkpoints; who does not see it sees another folder
HELD = ".held"


def check_all_see(folder: Anywhere, placement: Placement) -> None:
    """UserError where checkpoints are to lie on a disk that not every node has."""
    if not isinstance(folder, Path):
        return
    folder.mkdir(parents=True, exist_ok=True)
    (folder / DRIVER_WROTE).touch()
    others = [
        node["NodeID"]
        for node in ray.nodes()
        if node["Alive"]
        and node["NodeID"] != ray.get_runtime_context().get_node_id()
        and placement.admits(node["Labels"])
    ]
    look = ray.remote(num_cpus=0)(os.path.exists)
    asked = {
        look.options(label_selector={NODE_ID: node}).remote(str(folder / DRIVER_WROTE)): node
        for node in others
    }
    # A node that is about to go may not answer. Who trains looks again.
    answered, _ = (
        ray.wait(list(asked), num_returns=len(asked), timeout=LOOK_S) if asked else ([], [])
    )
    for answer in answered:
        if not ray.get(answer):
            raise _unseen(folder, asked[answer])


def check_seen(folder: Anywhere) -> None:
    """As `check_all_see`, in a worker, of the node that it is on."""
    if isinstance(folder, Path) and not (folder / DRIVER_WROTE).exists():
        raise _unseen(folder, ray.get_runtime_context().get_node_id())


def forget(folder: Anywhere) -> None:
    """Take away what `check_all_see` has left."""
    if isinstance(folder, Path):
        (folder / DRIVER_WROTE).unlink(missing_ok=True)


@contextmanager
def held(folder: Path, *, wait: bool) -> Iterator[None]:
    """Alone in a folder for the length of a `with`, among processes that ask; a process that dies
    lets go. BlockingIOError where another holds it and `wait` is false."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / HELD).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _unseen(folder: Path, node: str) -> UserError:
    return UserError(
        f"checkpoints are to lie in {str(folder)!r}, which node {node[:8]} does not see: name a "
        "folder that all machines share, or one in an object store (--checkpoints s3://...)"
    )
