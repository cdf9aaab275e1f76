"""Connecting to Ray: the cluster at RAY_ADDRESS, or one on this machine for this job alone."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
# A job's output is for people: what Ray repeats of its workers' warnings is not.
os.environ.setdefault("RAY_DEDUP_LOGS", "1")
if not os.environ.get("RAY_ADDRESS"):  # a cluster of its own is on loopback, which Ray calls so
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")

import ray

from videoproc.runtime.placement import Placement
from videoproc.types import UserError

# Says at every start that what we want is so: token authentication is on.
logging.getLogger("ray._private.authentication.authentication_token_setup").setLevel(logging.ERROR)

OBJECT_STORE_BYTES = 1 << 30  # a local cluster passes slim rows; frames stay inside a worker


@contextmanager
def cluster(*, inline: bool = False) -> Iterator[None]:
    """Ray for the length of a `with`; a cluster that is connected already is left as it is.

    With `inline` there is none: the job runs in this process.
    """
    if inline or ray.is_initialized():
        yield
        return
    address = os.environ.get("RAY_ADDRESS")
    _check_reachable(address)
    on_term = signal.getsignal(signal.SIGTERM)
    local: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    ray.init(
        address=address or "local",  # none would join whatever cluster `ray start` left here
        configure_logging=True,
        logging_level=logging.WARNING,
        log_to_driver=bool(os.environ.get("VIDEOPROC_DEBUG")),
        **({} if address else local),
    )
    # Ray takes the signal for itself, and dies of it with a dump of its stack.
    if threading.current_thread() is threading.main_thread() and callable(on_term):
        signal.signal(signal.SIGTERM, on_term)
    with ExitStack() as ending:
        (_lasting[-1] if _lasting else ending).callback(ray.shutdown)
        yield


def _check_reachable(address: str | None) -> None:
    """Ray itself retries for minutes before it says that nobody is there."""
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_S).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at RAY_ADDRESS {address!r} ({error}): start it, or unset "
            "RAY_ADDRESS to run on this machine alone"
        ) from error


CONNECT_S = 10.0
_lasting: list[ExitStack] = []


@contextmanager
def lasting() -> Iterator[None]:
    """Within a `with`, a cluster that one job has started serves the next ones too."""
    with ExitStack() as ending:
        _lasting.append(ending)
        try:
            yield
        finally:
            _lasting.pop()


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node that is alive: its labels, and what it has in all, by Ray's names (CPU, memory)."""

    labels: Mapping[str, str]
    resources: Mapping[str, float]

    @property
    def cpus(self) -> int:
        return int(self.resources.get("CPU", 0))

    @property
    def gpus(self) -> int:
        return int(self.resources.get("GPU", 0))


def nodes(placement: Placement | None = None) -> list[Node]:
    """The nodes that are alive, of those that the placement admits."""
    return [
        Node(labels=node["Labels"], resources=node["Resources"])
        for node in ray.nodes()
        if node["Alive"] and (placement is None or placement.admits(node["Labels"]))
    ]


def num_cpus(placement: Placement | None = None) -> int:
    """The cores of those nodes, 1 at least."""
    return max(1, sum(node.cpus for node in nodes(placement)))


def num_gpus(placement: Placement | None = None) -> int:
    """The GPUs of those nodes."""
    return sum(node.gpus for node in nodes(placement))
