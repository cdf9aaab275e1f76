"""Strangers at a cluster's doors: they know every address, and not the token."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import grpc
import pytest

from cluster import local, nodes
from tests.cluster.three_nodes import NODES, Nodes
from tests.sockets import is_loopback, listening

pytestmark = pytest.mark.slow

NO_TOKEN = {"RAY_AUTH_MODE": "disabled"}
GCS_CALLS = (
    "NodeInfoGcsService/RegisterNode",  # to come in as a node
    "JobInfoGcsService/AddJob",  # as a driver
    "ActorInfoGcsService/RegisterActor",
    "InternalKVGcsService/InternalKVPut",
)


@pytest.fixture(params=["no token", "a wrong token"])
def stranger(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who knows every address, and not the token."""
    return NO_TOKEN if request.param == "no token" else wrong_token(tmp_path)


def test_the_dashboard_and_every_agent_refuse_strangers(
    three: Nodes, stranger: dict[str, str]
) -> None:
    headers = headers_of(stranger)
    agents = flags(three, "--dashboard-agent-listen-port=")
    assert len(agents) == 3
    asked = [f"{three.state.dashboard_url}/{page}" for page in ("api/jobs/", "api/v0/nodes")]
    asked += [f"http://127.0.0.1:{port}/api/job_agent/jobs/" for port in agents]
    job = json.dumps({"entrypoint": "true"}).encode()
    for url in asked:
        for body in (None, job) if "jobs" in url else (None,):
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers))
            assert refused.value.code in (401, 403), url


def test_a_stranger_can_submit_no_job(three: Nodes, stranger: dict[str, str]) -> None:
    more = stranger | {"RAY_ADDRESS": three.state.dashboard_url}
    code, said = three.run("-m", "cluster", "submit", "index", more=more)
    assert code == 2
    assert "refuses the token" in said
    assert said.count("\n") == 1


def test_nothing_of_the_cluster_listens_beyond_loopback(three: Nodes) -> None:
    heard = listening(nodes.processes_of(three.workspace))
    assert {process for process, _, _ in heard} >= {"gcs_server", "raylet", "ray::DashboardAgent"}
    assert [one for one in heard if not is_loopback(one[1])] == []


@pytest.mark.parametrize("call", GCS_CALLS)
def test_the_clusters_memory_is_closed_to_strangers(
    three: Nodes, stranger: dict[str, str], call: str
) -> None:
    code = answer(three.state.gcs_address, f"/ray.rpc.{call}", headers_of(stranger))
    assert code is grpc.StatusCode.UNAUTHENTICATED


def test_the_port_of_rays_client_is_closed_to_strangers(
    three: Nodes, stranger: dict[str, str]
) -> None:
    (port,) = flags(three, "--ray-client-server-port=")
    call = (f"127.0.0.1:{port}", "/ray.rpc.RayletDriver/ClusterInfo")
    assert answer(*call, headers_of(stranger)) is grpc.StatusCode.UNAUTHENTICATED
    own = local.auth_headers(three.workspace / "cluster" / "token")
    assert answer(*call, own) is not grpc.StatusCode.UNAUTHENTICATED


def test_strangers_drivers_and_nodes_are_refused_by_name_of_the_reason(
    three: Nodes, tmp_path: Path
) -> None:
    """All at once: Ray tries again for twenty seconds before it says so."""
    address = three.state.gcs_address
    driver = ("-c", f"import ray; ray.init(address={address!r})")
    node = ("cluster/ray_start.py", "start", f"--address={address}", "--num-cpus=1", "--block")
    tried = [
        three.start(*words, more=more | nodes.ON_LOOPBACK)
        for words in (driver, (*node, f"--temp-dir={tmp_path / 'ray'}"))
        for more in (NO_TOKEN, wrong_token(tmp_path))
    ]
    for process in tried:
        said, _ = process.communicate(timeout=200)
        assert process.returncode != 0
        assert "Unauthenticated" in said or "InvalidAuthToken" in said
    assert {nodes.node_number(node) for node in three.ask("nodes")} == NODES


def answer(address: str, call: str, headers: dict[str, str]) -> grpc.StatusCode:
    """What a server of Ray's says to a bare call, as any program may make it."""
    with grpc.insecure_channel(address) as channel:
        ask = channel.unary_unary(call, request_serializer=None, response_deserializer=None)
        metadata = tuple((name.lower(), value) for name, value in headers.items())
        try:
            ask(b"", metadata=metadata, timeout=60)
        except grpc.RpcError as error:
            return error.code()
    return grpc.StatusCode.OK


def headers_of(stranger: dict[str, str]) -> dict[str, str]:
    path = stranger.get("RAY_AUTH_TOKEN_PATH")
    return local.auth_headers(Path(path)) if path else {}


def wrong_token(folder: Path) -> dict[str, str]:
    token = folder / "token"
    token.write_text("0" * 64)
    return local.auth_environment(token)


def flags(three: Nodes, flag: str) -> list[str]:
    """What the nodes were started with under a flag."""
    words = [word for one in nodes.processes_of(three.workspace) for word in one.cmdline()]
    return [word.removeprefix(flag) for word in words if word.startswith(flag)]
