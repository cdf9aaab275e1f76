"""Connecting to Ray: the cluster at RAY_ADDRESS, or one on this machine for this job alone."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import IO, Any

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
    with _explained(address) if address else nullcontext():
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


@contextmanager
def _explained(address: str) -> Iterator[None]:
    """A line where the cluster does not let us in. Why it does not, Ray's own library says on
    stderr alone: that is held back meanwhile, and passed on where all went well."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as heard:
        os.dup2(heard.fileno(), 2)
        try:
            yield
        except (ray.exceptions.RayError, RuntimeError, OSError) as error:
            raise UserError(_why(address, error, _all_of(heard))) from error
        except BaseException:
            os.write(stderr, _all_of(heard).encode())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
        sys.stderr.write(_all_of(heard))


def _all_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _why(address: str, error: BaseException, heard: str) -> str:
    said = " ".join(str(error).split())
    if isinstance(error, ray.exceptions.AuthenticationError) or "Unauthenticated" in heard:
        return (
            f"the cluster at {address} refuses the token: set RAY_AUTH_MODE=token and "
            "RAY_AUTH_TOKEN_PATH, to the file that holds its token"
        )
    if said.startswith("Version mismatch"):
        return f"the cluster at {address} has another Ray or Python: take the same ({said})"
    return f"the cluster at {address} lets nobody in: see that RAY_ADDRESS is right ({said[:400]})"


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


def num_gpus(placement: Placement | None = None) -> int:
    """The GPUs of those nodes."""
    return sum(node.gpus for node in nodes(placement))


NODE_GROUP = "ray.io/node-group"


def cores_now(placement: Placement | None = None) -> int:
    """The cores of those nodes; 0 where there are none yet."""
    return sum(node.cpus for node in nodes(placement))


def grows() -> bool:
    """Whether nodes may be started by need: Ray's cluster launcher and KubeRay give nodes the name
    of their group (KubeRay maybe also where it starts none). Which groups there could be, Ray's own
    processes know alone."""
    return any(NODE_GROUP in node.labels for node in nodes())


def cores_to_expect(placement: Placement) -> int:
    """The cores that a job should have work for: those that there are, or more where nodes may
    join before its end."""
    cores = max(1, cores_now(placement))
    if not os.environ.get("RAY_ADDRESS"):
        return cores  # a cluster for this job alone
    return max(cores * MAY_JOIN, GROWN_CORES if grows() else 0)


MAY_JOIN = 4  # a cluster may become as many times as large, and every core has work
GROWN_CORES = 64  # of a cluster that starts with a head alone; how far it may grow it does not say


def require_fit(
    placement: Placement, needs: Mapping[str, float], *, what: str, setting: str = "placement"
) -> str | None:
    """None where some node is large enough for one process with such needs.

    Elsewhere what is waited for, in a line, where the cluster grows by itself; a UserError where it
    does not. what: the process's work. setting: where the user has said where it runs.
    """
    if any(
        all(node.resources.get(name, 0) >= amount for name, amount in needs.items())
        for node in nodes(placement)
    ):
        return None
    labels = f" with {_said_labels(placement.labels)}" if placement.labels else ""
    wanted = f"{what} needs a node{labels} that has {said(needs)}"
    there = f"the cluster has {_said_nodes(needs)}"
    if grows() and not nodes(placement):  # more of a kind that is too small would not help
        return f"waits: {wanted}; {there} now"
    raise UserError(
        f"{wanted}, and {there}: change labels, resources or memory_bytes of its {setting}, or "
        "start such a node"
    )


def said(amounts: Mapping[str, float]) -> str:
    """Amounts by Ray's names, for people."""
    return ", ".join(
        f"{amount / 1e9:.2f} GB of memory" if name == "memory" else f"{amount:g} {name}"
        for name, amount in amounts.items()
    )


def _said_labels(labels: Mapping[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def _said_nodes(needs: Mapping[str, float]) -> str:
    """Each kind of node, with what it has of what is needed, and its labels less Ray's own."""
    kinds = Counter(
        said({name: node.resources.get(name, 0) for name in needs})
        + (f" ({own})" if (own := _said_labels(_own_labels(node))) else "")
        for node in nodes()
    )
    named = [f"{count} x {kind}" for kind, count in kinds.most_common(SHOWN_KINDS)]
    more = f" and {len(kinds) - SHOWN_KINDS} kinds more" if len(kinds) > SHOWN_KINDS else ""
    return "; ".join(named) + more


SHOWN_KINDS = 5


def _own_labels(node: Node) -> dict[str, str]:
    return {k: v for k, v in node.labels.items() if not k.startswith("ray.io/")}


class CoreTime:
    """Core seconds that there were, in a cluster that grows and shrinks: call `note` now and then.

    count: the cores that are there now; asked once a second at most.
    """

    def __init__(self, count: Callable[[], int]) -> None:
        self._count = count
        self._began = self._noted = time.monotonic()
        self._cores, self.core_s = count(), 0.0

    def note(self, *, least_s: float = 1.0) -> None:
        now = time.monotonic()
        if now - self._noted < least_s:
            return
        cores = self._count()
        self.core_s += (self._cores + cores) / 2 * (now - self._noted)
        self._cores, self._noted = cores, now

    @property
    def elapsed_s(self) -> float:
        return self._noted - self._began

    @property
    def cores(self) -> int:
        """As many as there were on average."""
        return max(1, round(self.core_s / self.elapsed_s if self.elapsed_s else self._cores))
