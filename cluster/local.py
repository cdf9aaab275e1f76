"""One Ray node on this machine.

A node belongs to a workspace (`VIDEOPROC_WORKSPACE`, else ./workspace): its token, state and log
are in <workspace>/cluster, and each process that it starts, jobs and their children included,
carries the workspace in its environment. That mark is how `down` finds what it may end.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from videoproc.types import UserError

ROOT = Path(__file__).resolve().parents[1]
MARK = "VIDEOPROC_CLUSTER"
READY_TIMEOUT_S = 120.0  # 8 s on four idle cores; a loaded CI machine is many times slower
GRACE_S = 10.0  # from SIGTERM to SIGKILL


@dataclass(frozen=True, kw_only=True)
class Node:
    """A Ray head node that answers, as <workspace>/cluster/state.json keeps it."""

    pid: int
    gcs_address: str
    dashboard_url: str
    python: str
    temp_dir: str


def find_workspace() -> Path:
    return Path(os.environ.get("VIDEOPROC_WORKSPACE") or "workspace").resolve()


def find_node(workspace: Path) -> Node | None:
    """The workspace's node, if its process is alive."""
    try:
        node = Node(**json.loads((workspace / "cluster" / "state.json").read_text()))
    except FileNotFoundError:
        return None
    return node if node.pid in {process.pid for process in processes_of(workspace)} else None


def processes_of(workspace: Path) -> list[psutil.Process]:
    """Every process that the workspace's node has started, directly or not."""
    return [
        process
        for process in psutil.process_iter(["environ"])
        if (process.info["environ"] or {}).get(MARK) == str(workspace)
    ]


def start_node(workspace: Path, *, cpus: int | None) -> Node:
    """Start a head node and wait until its job server takes jobs; nothing is left if it fails."""
    stop_node(workspace)  # remains of a node that died or never became ready
    folder = workspace / "cluster"
    token = make_token(folder)
    # Not in the workspace: Ray's socket paths may have 107 characters. Not /tmp/ray: clusters that
    # share a temp dir hand their jobs the address of whichever of them started last.
    temp_dir = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    ports = {
        "port": free_port(6379),
        "dashboard-port": free_port(8265),
        # If two nodes share the agent's port, the second refuses every job ("No available agent").
        "dashboard-agent-listen-port": free_port(52365),
        "ray-client-server-port": free_port(10001),
    }
    environment = {
        **{k: v for k, v in os.environ.items() if k not in {"RAY_ADDRESS", "RAY_TMPDIR"}},
        **auth_environment(token),
        MARK: str(workspace),
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),  # as pipelines sets it
        "SPT_NOENV": "1",  # workers rename themselves; without this it overwrites the mark
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # else a busy node takes 30 s to stop
    }
    with cleanup_on_failure(workspace, temp_dir):
        with (folder / "ray.log").open("w") as log:
            process = subprocess.Popen(
                node_command(temp_dir=f"{temp_dir}/r", ports=ports, cpus=cpus),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        url = f"http://127.0.0.1:{ports['dashboard-port']}"
        agent_url = f"http://127.0.0.1:{ports['dashboard-agent-listen-port']}"
        address_file = Path(temp_dir, "r", "ray_current_cluster")
        wait_until(
            lambda: (
                address_file.exists()
                and answers(f"{url}/api/jobs/", token)
                and answers(f"{agent_url}/api/local_raylet_healthz", token)
            ),
            process,
        )
        node = Node(
            pid=process.pid,
            # Ray replaces a loopback address by the machine's own: ask it which it took.
            gcs_address=address_file.read_text(),
            dashboard_url=url,
            python=sys.executable,
            temp_dir=temp_dir,
        )
        (folder / "state.json").write_text(json.dumps(asdict(node), indent=2) + "\n")
    return node


def node_command(*, temp_dir: str, ports: Mapping[str, int], cpus: int | None) -> list[str]:
    options = {
        "include-dashboard": "true",
        "dashboard-host": "127.0.0.1",
        "temp-dir": temp_dir,
        # Any free ports: two nodes would quarrel over the default range, 10002 to 19999.
        "min-worker-port": 0,
        "max-worker-port": 0,
        "log-color": "false",
        **ports,
        **({} if cpus is None else {"num-cpus": cpus}),
    }
    ray = Path(sys.executable).parent / "ray"
    return [
        *(str(ray), "start", "--head", "--block", "--disable-usage-stats"),
        *(f"--{name}={value}" for name, value in options.items()),
    ]


@contextmanager
def cleanup_on_failure(workspace: Path, temp_dir: str) -> Iterator[None]:
    try:
        yield
    except BaseException:  # Ctrl-C while waiting too
        stop_node(workspace)
        shutil.rmtree(temp_dir, ignore_errors=True)
        raise


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not ready():
        if process.poll() is not None:
            raise UserError(f"Ray ended with exit code {process.returncode} before it was ready")
        if time.monotonic() > deadline:
            raise UserError(f"Ray was not ready after {READY_TIMEOUT_S:.0f} s")
        time.sleep(0.2)


def answers(url: str, token: Path) -> bool:
    request = urllib.request.Request(url, headers=auth_headers(token))
    try:
        with urllib.request.urlopen(request, timeout=10):
            return True
    except OSError:  # refused, reset, timed out, or an HTTP error: not ready
        return False


def stop_node(workspace: Path) -> int:
    """End what the workspace's node started, and only that; return how many processes it was."""
    found = processes_of(workspace)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    psutil.wait_procs(found, timeout=GRACE_S)
    while left := processes_of(workspace):  # in a loop: what is ending may still start a process
        for process in left:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(left, timeout=1)
    state = workspace / "cluster" / "state.json"
    if state.exists():
        shutil.rmtree(json.loads(state.read_text())["temp_dir"], ignore_errors=True)
        state.unlink()
    return len(found)


def make_token(folder: Path) -> Path:
    """The workspace's token file; made, for its owner's eyes only, if there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    token = folder / "token"
    if not token.exists():
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
    return token


def auth_environment(token: Path) -> dict[str, str]:
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}


def auth_headers(token: Path) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.read_text().strip()}"}


def free_port(preferred: int) -> int:
    """The first port from `preferred` on that nothing listens to."""
    for port in range(preferred, preferred + 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise UserError(f"ports {preferred} to {preferred + 99} are all taken; free one of them")


def up(workspace: Path, *, cpus: int | None) -> None:
    node = find_node(workspace)
    if node is not None:
        print(f"already up: {describe(node)}")
        return
    started = time.monotonic()
    try:
        node = start_node(workspace, cpus=cpus)
    except UserError as error:
        log = workspace / "cluster" / "ray.log"
        tail = log.read_text().splitlines()[-20:] if log.exists() else []
        raise UserError("\n".join([str(error), f"the end of {log}:", *tail])) from error
    print(f"up in {time.monotonic() - started:.0f} s: {describe(node)}")
    print("submit a job:  make submit JOB=nightly CONFIG=nightly.yaml")
    print('use it here:   eval "$(python -m cluster env)"')


def describe(node: Node) -> str:
    return f"Ray at {node.gcs_address}, dashboard {node.dashboard_url}, process {node.pid}"


def environment(workspace: Path) -> dict[str, str]:
    """What a shell needs to use the node, with `ray.init()` as with `ray job submit`."""
    node = find_node(workspace)
    if node is None:
        raise UserError(f"no cluster is up for {workspace}: start one with `make cluster-up`")
    return {
        "RAY_ADDRESS": node.gcs_address,
        "RAY_API_SERVER_ADDRESS": node.dashboard_url,
        "VIDEOPROC_CLUSTER_PYTHON": node.python,
        **auth_environment(workspace / "cluster" / "token"),
    }
