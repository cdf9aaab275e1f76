"""A Ray cluster of one or several nodes on this machine.

It belongs to a workspace (`VIDEOPROC_WORKSPACE`, else ./workspace): its token, state and logs are
in <workspace>/cluster.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from cluster.nodes import (
    ON_LOOPBACK,
    Launcher,
    alive,
    answers,
    choosing_ports,
    free_ports,
    node_number,
    processes_of,
    read_nodes,
    share_machine,
    wait_until,
)
from videoproc.types import UserError

GRACE_S = 10.0  # from SIGTERM to SIGKILL


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A Ray cluster that answers, as <workspace>/cluster/state.json keeps it.

    pid: of its head. temp_dir: holds a folder of Ray's for each node, by its number from 1 on.
    """

    pid: int
    gcs_address: str
    dashboard_url: str
    python: str
    temp_dir: str


def find_workspace() -> Path:
    return Path(os.environ.get("VIDEOPROC_WORKSPACE") or "workspace").resolve()


def find_cluster(workspace: Path) -> Cluster | None:
    """The workspace's cluster, if its head is alive."""
    try:
        cluster = Cluster(**json.loads((workspace / "cluster" / "state.json").read_text()))
    except FileNotFoundError:
        return None
    return cluster if cluster.pid in {process.pid for process in processes_of(workspace)} else None


def require_cluster(workspace: Path) -> Cluster:
    cluster = find_cluster(workspace)
    if cluster is None:
        raise UserError(f"no cluster is up for {workspace}: start one with `make cluster-up`")
    return cluster


@choosing_ports()
def start_cluster(workspace: Path, *, nodes: int, cpus: int | None) -> Cluster:
    """Start a head and nodes that join it, and wait until all are there and jobs are taken.

    nodes: how many, the head included. cpus: of each. Nothing is left if it fails.
    """
    stop_cluster(workspace)  # remains of one that died or never became ready
    token = make_token(workspace / "cluster")
    headers = auth_headers(token)
    # Not in the workspace: Ray's socket paths may have 107 characters. Not /tmp/ray: clusters that
    # share a temp dir hand their jobs the address of whichever of them started last.
    temp_dir = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    # If two nodes share the agent's port, the second refuses every job ("No available agent").
    # Not from 52365 on, which any `ray.init()` may take between our look and our node's.
    agent_ports = free_ports(52400)
    ports = {
        "port": next(free_ports(6379)),
        "dashboard-port": next(free_ports(8265)),
        "dashboard-agent-listen-port": next(agent_ports),
        "ray-client-server-port": next(free_ports(10001)),
    }
    gcs_address = f"127.0.0.1:{ports['port']}"
    url = f"http://127.0.0.1:{ports['dashboard-port']}"
    launcher = Launcher(
        workspace=workspace,
        temp_dir=temp_dir,
        environ={
            **{k: v for k, v in os.environ.items() if k not in {"RAY_ADDRESS", "RAY_TMPDIR"}},
            **auth_environment(token),
            **ON_LOOPBACK,
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),  # as in pipelines
            "SPT_NOENV": "1",  # workers rename themselves; without this it overwrites the marks
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # else a busy node takes 30 s to stop
        },
        resources=share_machine(nodes, cpus=cpus),
    )
    with cleanup_on_failure(workspace, temp_dir):
        launched = [launcher.head(ports)]
        address_file = launched[0].temp_dir / "ray_current_cluster"
        wait_until(address_file.exists, launched)  # Ray writes it last
        for number, agent_port in zip(range(2, nodes + 1), agent_ports, strict=False):
            launched.append(launcher.join(gcs_address, number=number, agent_port=agent_port))
        urls = [f"http://127.0.0.1:{node.agent_port}/api/local_raylet_healthz" for node in launched]
        wait_until(lambda: all(answers(agent, headers) for agent in urls), launched)
        wait_until(lambda: answers(f"{url}/api/jobs/", headers), launched)
        wait_until(lambda: alive(url, headers) == nodes, launched)
        cluster = Cluster(
            pid=launched[0].process.pid,
            gcs_address=gcs_address,
            dashboard_url=url,
            python=sys.executable,
            temp_dir=str(temp_dir),
        )
        state = workspace / "cluster" / "state.json"
        state.write_text(json.dumps(asdict(cluster), indent=2) + "\n")
    return cluster


@contextmanager
def cleanup_on_failure(workspace: Path, temp_dir: Path) -> Iterator[None]:
    try:
        yield
    except BaseException:  # Ctrl-C while waiting too
        stop_cluster(workspace)
        shutil.rmtree(temp_dir, ignore_errors=True)
        raise


def stop_cluster(workspace: Path) -> int:
    """End what the workspace's nodes started, and only that; return how many processes it was."""
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


def up(workspace: Path, *, nodes: int | None, cpus: int | None) -> None:
    """Start a cluster, of one node by default; one that is up stays as it is."""
    if nodes is not None and nodes < 1:
        raise UserError(f"nodes is {nodes}: use 1 or more")
    cluster = find_cluster(workspace)
    if cluster is not None:
        there = len(list_nodes(workspace, cluster))
        if nodes not in (None, there):
            raise UserError(
                f"a cluster with nodes={there} is up for {workspace}, and {nodes} were asked for: "
                "end it first with `make cluster-down`"
            )
        print(f"already up: {describe(cluster)}")
        return
    started = time.monotonic()
    cluster = start_cluster(workspace, nodes=nodes or 1, cpus=cpus)
    print(f"up in {time.monotonic() - started:.0f} s: {describe(cluster)}")
    print("\n".join(map(describe_node, list_nodes(workspace, cluster))))
    print("submit a job:  make submit JOB=nightly CONFIG=nightly.yaml")
    print('use it here:   eval "$(python -m cluster env)"')


def status(workspace: Path) -> bool:
    """Say what is up; whether anything is."""
    cluster = find_cluster(workspace)
    if cluster is None:
        print(f"no cluster is up for {workspace}")
        return False
    print(describe(cluster))
    print("\n".join(map(describe_node, list_nodes(workspace, cluster))))
    return True


def list_nodes(workspace: Path, cluster: Cluster) -> list[dict[str, Any]]:
    """The cluster's nodes as Ray knows them, those that have died included."""
    try:
        headers = auth_headers(workspace / "cluster" / "token")
        return read_nodes(cluster.dashboard_url, headers)
    except OSError as error:
        raise UserError(
            f"the dashboard at {cluster.dashboard_url} does not answer ({error}): start the "
            "cluster anew with `make cluster-down cluster-up`"
        ) from error


def describe(cluster: Cluster) -> str:
    return f"Ray at {cluster.gcs_address}, dashboard {cluster.dashboard_url}, process {cluster.pid}"


def describe_node(node: dict[str, Any]) -> str:
    name = f"node {node_number(node)}" + (" (head)" if node["is_head_node"] else "")
    if node["state"] != "ALIVE":
        return f"{name}: {node['state'].lower()}"
    has = node["resources_total"]
    object_store = f"{has['object_store_memory'] / 1e9:.1f} GB of object store"
    counts = [f"{has[kind]:.0f} {kind}" for kind in ("CPU", "GPU") if has.get(kind)]
    return f"{name}: {', '.join([*counts, object_store])}"


def environment(workspace: Path) -> dict[str, str]:
    """What a shell needs to use the cluster, with `ray.init()` as with `ray job submit`."""
    cluster = require_cluster(workspace)
    return {
        "RAY_ADDRESS": cluster.gcs_address,
        "RAY_API_SERVER_ADDRESS": cluster.dashboard_url,
        "VIDEOPROC_CLUSTER_PYTHON": cluster.python,
        **auth_environment(workspace / "cluster" / "token"),
        **ON_LOOPBACK,
    }
