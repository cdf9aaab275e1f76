"""Strangers at a cluster's doors: they know every address, and not the token."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from cluster import local, nodes
from tests.cluster.three_nodes import NODES, Nodes
from tests.sockets import is_loopback, listening

pytestmark = pytest.mark.slow

REFUSED = re.compile("Unauthenticated|InvalidAuthToken|authentication|token", re.IGNORECASE)


@pytest.fixture(params=["no token", "a wrong token"])
def stranger(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """The environment of somebody who knows every address, and not the token."""
    if request.param == "no token":
        return {"RAY_AUTH_MODE": "disabled"}
    token = tmp_path / "token"
    token.write_text("0" * 64)
    return local.auth_environment(token)


def test_the_dashboard_and_every_agent_refuse_strangers(
    three: Nodes, stranger: dict[str, str]
) -> None:
    path = stranger.get("RAY_AUTH_TOKEN_PATH")
    headers = local.auth_headers(Path(path)) if path else {}
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


def test_a_strangers_driver_is_refused_by_name_of_the_reason(
    three: Nodes, stranger: dict[str, str]
) -> None:
    more = stranger | nodes.ON_LOOPBACK
    program = f"import ray; ray.init(address={three.state.gcs_address!r})"
    code, said = three.run("-c", program, more=more)
    assert code != 0
    assert "Unauthenticated" in said or "InvalidAuthToken" in said


def test_nothing_of_the_cluster_listens_beyond_loopback(three: Nodes) -> None:
    heard = listening(nodes.processes_of(three.workspace))
    assert {process for process, _, _ in heard} >= {"gcs_server", "raylet", "ray::DashboardAgent"}
    assert [one for one in heard if not is_loopback(one[1])] == []


def test_a_stranger_can_add_no_node(three: Nodes, stranger: dict[str, str], tmp_path: Path) -> None:
    words = (f"--address={three.state.gcs_address}", f"--temp-dir={tmp_path / 'ray'}", "--block")
    more = stranger | nodes.ON_LOOPBACK
    code, said = three.run("cluster/ray_start.py", "start", *words, "--num-cpus=1", more=more)
    assert code != 0
    assert REFUSED.search(said), said
    assert {nodes.node_number(node) for node in three.ask("nodes")} == NODES


def test_a_stranger_comes_in_through_no_client_port(three: Nodes, stranger: dict[str, str]) -> None:
    (port,) = flags(three, "--ray-client-server-port=")
    program = f"import ray; ray.init('ray://127.0.0.1:{port}'); print(ray.nodes())"
    code, said = three.run("-c", program, more=stranger | nodes.ON_LOOPBACK)
    assert code != 0
    assert REFUSED.search(said), said
    assert "NodeID" not in said


def flags(three: Nodes, flag: str) -> list[str]:
    """What the nodes were started with under a flag."""
    words = [word for one in nodes.processes_of(three.workspace) for word in one.cmdline()]
    return [word.removeprefix(flag) for word in words if word.startswith(flag)]
