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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import psutil

from cluster.nodes import (
    ON_LOOPBACK,
    Launched,
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
AGENT_PORT = 52400  # the first that is tried; from 52365 on any `ray.init()` may take one


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A Ray cluster that answers, as <workspace>/cluster/state.json keeps it.

    pid: of its head. temp_dir: holds a folder of Ray's for each node, by its number from 1 on.
    nodes: how many there should be. resources: what each was given, as flags of `ray start`.
    """

    pid: int
    gcs_address: str
    dashboard_url: str
    python: str
    temp_dir: str
    nodes: int
    resources: dict[str, int]


def find_workspace() -> Path:
    return Path(os.environ.get("VIDEOPROC_WORKSPACE") or "workspace").resolve()


def find_cluster(workspace: Path) -> Cluster | None:
    """The workspace's cluster, if its head is alive."""
    try:
        cluster = Cluster(**json.loads((workspace / "cluster" / "state.json").read_text()))
    except (FileNotFoundError, TypeError):  # none, or one that another version has started
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
    make_token(workspace / "cluster")
    # Not in the workspace: Ray's socket paths may have 107 characters. Not /tmp/ray: clusters that
    # share a temp dir hand their jobs the address of whichever of them started last.
    temp_dir = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    ports = {
        "port": next(free_ports(6379)),
        "dashboard-port": next(free_ports(8265)),
        "dashboard-agent-listen-port": next(free_ports(AGENT_PORT)),
        "ray-client-server-port": next(free_ports(10001)),
    }
    resources = share_machine(nodes, cpus=cpus)
    with cleanup_on_failure(workspace, temp_dir):
        head = _launcher(workspace, temp_dir, resources).head(ports)
        address_file = head.temp_dir / "ray_current_cluster"
        wait_until(address_file.exists, [head])  # Ray writes it last
        cluster = Cluster(
            pid=head.process.pid,
            gcs_address=f"127.0.0.1:{ports['port']}",
            dashboard_url=f"http://127.0.0.1:{ports['dashboard-port']}",
            python=sys.executable,
            temp_dir=str(temp_dir),
            nodes=nodes,
            resources=resources,
        )
        _join(workspace, cluster, range(2, nodes + 1), launched=[head])
    return cluster


@choosing_ports()
def add_nodes(workspace: Path, cluster: Cluster, *, nodes: int, cpus: int | None) -> Cluster:
    """Start the nodes that are dead or were never there, so that there are so many.

    cpus: of each of these; by default as the others have. To one that took the whole machine come
    nodes that have a share of it.
    """
    there = {node_number(node) for node in list_nodes(workspace, cluster) if is_alive(node)}
    missing = [number for number in range(2, nodes + 1) if number not in there]
    for number in missing:  # what is left of a dead one
        end(processes_of(workspace, node=number))
        shutil.rmtree(Path(cluster.temp_dir) / str(number), ignore_errors=True)
    resources = cluster.resources
    if cpus is not None or not resources:
        resources = share_machine(nodes, cpus=cpus)
    cluster = replace(cluster, nodes=nodes, resources=resources)
    try:
        _join(workspace, cluster, missing, launched=[])
    except BaseException:
        for number in missing:
            end(processes_of(workspace, node=number))
        raise
    return cluster


def _launcher(workspace: Path, temp_dir: Path, resources: Mapping[str, int]) -> Launcher:
    environ = {k: v for k, v in os.environ.items() if k not in {"RAY_ADDRESS", "RAY_TMPDIR"}}
    return Launcher(
        workspace=workspace,
        temp_dir=temp_dir,
        environ={
            **environ,
            **auth_environment(workspace / "cluster" / "token"),
            **ON_LOOPBACK,
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),  # as in pipelines
            "THP_MEM_ALLOC_ENABLE": os.environ.get("THP_MEM_ALLOC_ENABLE", "1"),  # likewise
            "SPT_NOENV": "1",  # workers rename themselves; without this it overwrites the marks
            "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0",  # else a busy node takes 30 s to stop
            # A lost head does not come back: nodes that have missed it for so long end.
            "RAY_gcs_rpc_server_reconnect_timeout_s": "20",
        },
        resources=resources,
    )


def _join(
    workspace: Path, cluster: Cluster, numbers: Iterable[int], *, launched: Sequence[Launched]
) -> None:
    """Start nodes of these numbers, and wait until they and those just launched take jobs."""
    launcher = _launcher(workspace, Path(cluster.temp_dir), cluster.resources)
    headers = auth_headers(workspace / "cluster" / "token")
    url, started = cluster.dashboard_url, list(launched)
    taken = {node.agent_port for node in started}
    # If two nodes share the agent's port, the second refuses every job ("No available agent").
    ports = (port for port in free_ports(AGENT_PORT) if port not in taken)
    for number, port in zip(numbers, ports, strict=False):
        started.append(launcher.join(cluster.gcs_address, number=number, agent_port=port))
    urls = [f"http://127.0.0.1:{node.agent_port}/api/local_raylet_healthz" for node in started]
    wait_until(lambda: all(answers(agent, headers) for agent in urls), started)
    wait_until(lambda: answers(f"{url}/api/jobs/", headers), started)
    wait_until(lambda: alive(url, headers) == cluster.nodes, started)
    state = workspace / "cluster" / "state.json"
    state.write_text(json.dumps(asdict(cluster), indent=2) + "\n")


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
    found = end(processes_of(workspace))
    while end(processes_of(workspace)):  # what is ending may still start a process
        pass
    state = workspace / "cluster" / "state.json"
    if state.exists():
        shutil.rmtree(json.loads(state.read_text())["temp_dir"], ignore_errors=True)
        state.unlink()
    return found


def end(processes: Sequence[psutil.Process]) -> int:
    """Ask these processes to end, and kill those that do not; return how many there were."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, left = psutil.wait_procs(processes, timeout=GRACE_S)
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=GRACE_S)
    return len(processes)


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
    """Start a cluster, of one node by default; to one that is up, add the nodes that it lacks."""
    if nodes is not None and nodes < 1:
        raise UserError(f"nodes is {nodes}: use 1 or more")
    cluster, started = find_cluster(workspace), time.monotonic()
    if cluster is None:
        cluster = start_cluster(workspace, nodes=nodes or 1, cpus=cpus)
        print(f"up in {time.monotonic() - started:.0f} s: {describe(cluster)}")
    else:
        there = sum(map(is_alive, list_nodes(workspace, cluster)))
        wanted = nodes or cluster.nodes
        if wanted < there:
            raise UserError(
                f"a cluster with nodes={there} is up for {workspace}, and {wanted} were asked for: "
                "end it first with `make cluster-down`"
            )
        print(f"already up: {describe(cluster)}")
        if wanted > there:
            cluster = add_nodes(workspace, cluster, nodes=wanted, cpus=cpus)
            print(f"added {wanted - there} to {there} nodes in {time.monotonic() - started:.0f} s")
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
    """The cluster's nodes as Ray knows them; one that has died and was not started again too."""
    try:
        headers = auth_headers(workspace / "cluster" / "token")
        known = read_nodes(cluster.dashboard_url, headers)
    except OSError as error:
        raise UserError(
            f"the dashboard at {cluster.dashboard_url} does not answer ({error}): start the "
            "cluster anew with `make cluster-down cluster-up`"
        ) from error
    last = {node_number(node): node for node in sorted(known, key=is_alive)}
    return [last[number] for number in sorted(last)]


def describe(cluster: Cluster) -> str:
    return f"Ray at {cluster.gcs_address}, dashboard {cluster.dashboard_url}, process {cluster.pid}"


def is_alive(node: Mapping[str, Any]) -> bool:
    return bool(node["state"] == "ALIVE")


def describe_node(node: dict[str, Any]) -> str:
    name = f"node {node_number(node)}" + (" (head)" if node["is_head_node"] else "")
    if not is_alive(node):
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
