"""The Ray nodes of a cluster on this machine: how each is started, waited for and found again.

Each process that a node starts, jobs and their children included, carries the workspace and the
node's number in its environment. Those marks are how `down` finds what it may end.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from videoproc.types import UserError

ROOT = Path(__file__).resolve().parents[1]
MARK = "VIDEOPROC_CLUSTER"
NODE_MARK = "VIDEOPROC_CLUSTER_NODE"
LABEL = "node"  # of the Ray node, for placement: label_selector={"node": "2"}
# Ray's switch for laptops: it takes 127.0.0.1 for its address and listens nowhere else. Without it
# GCS, raylets and agents listen on all interfaces, and Ray's metrics ask nobody for a token.
ON_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
READY_TIMEOUT_S = 120.0  # 8 s on four idle cores; a loaded CI machine is many times slower
OBJECT_STORE_SHARE = 0.3  # of the free memory, as Ray itself takes for one node


@dataclass(frozen=True, kw_only=True)
class Launched:
    """A node's own `ray start`, which ends when the node does."""

    number: int
    process: subprocess.Popen[bytes]
    temp_dir: Path
    log: Path
    agent_port: int


@dataclass(frozen=True, kw_only=True)
class Launcher:
    """Starts nodes that share a machine: every one has its own ports, folder, log and resources.

    environ: for all of their processes. resources: flags of `ray start`. The GPUs are
    the head's: else every node would offer all of them.
    """

    workspace: Path
    temp_dir: Path
    environ: Mapping[str, str]
    resources: Mapping[str, int]

    def head(self, ports: Mapping[str, int]) -> Launched:
        options = {"include-dashboard": "true", "dashboard-host": "127.0.0.1", **ports}
        return self._start(1, ["--head"], options)

    def join(self, gcs_address: str, *, number: int, agent_port: int) -> Launched:
        options = {
            "address": gcs_address,
            "dashboard-agent-listen-port": agent_port,
            "num-gpus": 0,
        }
        return self._start(number, [], options)

    def _start(self, number: int, flags: list[str], options: Mapping[str, Any]) -> Launched:
        folder = self.temp_dir / str(number)
        own: dict[str, Any] = {
            "temp-dir": folder,
            "labels": f"{LABEL}={number}",
            # Any free ports: two nodes would quarrel over the default range, 10002 to 19999.
            "min-worker-port": 0,
            "max-worker-port": 0,
            "log-color": "false",
        }
        words = [
            f"--{name}={value}" for name, value in {**own, **self.resources, **options}.items()
        ]
        log = log_of(self.workspace, number)
        with log.open("w") as output:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-P", str(ROOT / "cluster" / "ray_start.py"), "start"),
                    *("--block", "--disable-usage-stats", *flags, *words),
                ],
                env={**self.environ, MARK: str(self.workspace), NODE_MARK: str(number)},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Launched(
            number=number,
            process=process,
            temp_dir=folder,
            log=log,
            agent_port=options["dashboard-agent-listen-port"],
        )


def log_of(workspace: Path, number: int) -> Path:
    return workspace / "cluster" / ("ray.log" if number == 1 else f"ray-{number}.log")


def share_machine(nodes: int, *, cpus: int | None) -> dict[str, int]:
    """What each of so many nodes takes of this machine; one alone takes what Ray finds."""
    if nodes == 1:
        return {} if cpus is None else {"num-cpus": cpus}
    free_bytes = psutil.virtual_memory().available * OBJECT_STORE_SHARE
    return {
        "num-cpus": max(1, (os.cpu_count() or 1) // nodes) if cpus is None else cpus,
        "object-store-memory": int(free_bytes / nodes),
    }


def processes_of(workspace: Path, *, node: int | None = None) -> list[psutil.Process]:
    """Every process that the workspace's nodes, or one of them, have started, directly or not."""
    wanted = {MARK: str(workspace)} | ({} if node is None else {NODE_MARK: str(node)})
    return [
        process
        for process in psutil.process_iter(["environ"])
        if wanted.items() <= (process.info["environ"] or {}).items()
    ]


def read_nodes(dashboard_url: str, headers: Mapping[str, str]) -> list[dict[str, Any]]:
    """Ray's own list of its nodes, by number: `state`, `resources_total`, `labels`, ..."""
    request = urllib.request.Request(f"{dashboard_url}/api/v0/nodes", headers=dict(headers))
    with urllib.request.urlopen(request, timeout=10) as answer:
        nodes: list[dict[str, Any]] = json.load(answer)["data"]["result"]["result"]
    return sorted(nodes, key=node_number)


def node_number(node: Mapping[str, Any]) -> int:
    return int(node["labels"][LABEL])


def alive(dashboard_url: str, headers: Mapping[str, str]) -> int:
    """How many nodes Ray has; 0 as long as it does not say."""
    try:
        nodes = read_nodes(dashboard_url, headers)
    except OSError:
        return 0
    return sum(node["state"] == "ALIVE" for node in nodes)


def answers(url: str, headers: Mapping[str, str]) -> bool:
    request = urllib.request.Request(url, headers=dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except OSError:  # refused, reset, timed out, or an HTTP error: not ready
        return False


def wait_until(ready: Callable[[], bool], launched: Sequence[Launched]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not ready():
        for node in launched:
            if node.process.poll() is not None:
                raise _not_up(f"ended with exit code {node.process.returncode}", node)
        if time.monotonic() > deadline:
            raise _not_up(f"took more than {READY_TIMEOUT_S:.0f} s", launched[-1])
        time.sleep(0.2)


def _not_up(what: str, node: Launched) -> UserError:
    tail = node.log.read_text().splitlines()[-20:]
    said = f"Ray's node {node.number} {what} before it was ready; the end of {node.log}:"
    return UserError("\n".join([said, *tail]))


@contextmanager
def choosing_ports() -> Iterator[None]:
    """One cluster of this user at a time: a port that is free now may be another's in a second."""
    path = Path(tempfile.gettempdir(), f"videoproc-ports-{os.getuid()}.lock")
    lock = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def free_ports(preferred: int) -> Iterator[int]:
    """The ports from `preferred` on that nothing listens to."""
    for port in range(preferred, preferred + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
        yield port
    raise UserError(f"ports {preferred} to {preferred + 99} are all taken; free one of them")
