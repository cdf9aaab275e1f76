"""Three Ray nodes on this machine: what they share out, who may come in, and what jobs make of
them. One CPU each, so that two workers of a training stand on two nodes."""

from __future__ import annotations

import ipaddress
import json
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest

from cluster import local, nodes
from tests.cluster.three_nodes import (
    EXTRACT,
    NODES,
    Nodes,
    assert_equal,
    cluster_in,
    decoders,
    kill_all_but_decoders,
    wait_for,
)

pytestmark = pytest.mark.slow


def test_status_names_each_node_and_what_it_has(three: Nodes) -> None:
    said = three.command("status").splitlines()
    assert len(said) == 4
    assert said[0].startswith("Ray at 127.0.0.1:")
    for number, line in enumerate(said[1:], start=1):
        name = f"node {number}" + (" (head)" if number == 1 else "")
        assert line.startswith(f"{name}: 1 CPU, ")


def test_a_driver_sees_three_nodes_and_can_choose_one(three: Nodes) -> None:
    program = """
        import json, ray
        ray.init(logging_level="ERROR")
        here = ray.remote(lambda: ray.get_runtime_context().get_node_id())
        chosen = [here.options(label_selector={"node": str(n)}).remote() for n in (1, 2, 3)]
        print("SEEN" + json.dumps([ray.nodes(), ray.get(chosen)]))
    """
    program = "\n".join(line.strip() for line in program.splitlines())
    code, said = three.run("-c", program, more=three.exports())
    assert code == 0, said
    line = next(line for line in said.splitlines() if line.startswith("SEEN"))
    seen, chosen = json.loads(line.removeprefix("SEEN"))
    assert {node["Labels"][nodes.LABEL] for node in seen if node["Alive"]} == {"1", "2", "3"}
    assert [node["Resources"]["CPU"] for node in seen] == [1, 1, 1]
    assert [three.numbers()[node_id] for node_id in chosen] == [1, 2, 3]


def test_a_submitted_job_runs_on_every_node_and_its_tables_equal_one_process(
    three: Nodes, corpus: Path, one_process: Path, tmp_path: Path
) -> None:
    data = str(tmp_path / "submitted")
    source = ("--source", str(corpus / "videos.csv"), "--layout", "csv")
    three.command("submit", "index", "--data", data, *source)
    three.command("submit", "extract", "--data", data, *EXTRACT)
    assert_equal(Path(data), one_process)
    numbers = three.numbers()
    tasks = [task for task in three.ask("tasks") if "FlatMap" in task["name"]]
    assert {numbers[task["node_id"]] for task in tasks} == NODES


def test_two_workers_train_on_two_nodes(three: Nodes, extracted: Path) -> None:
    flags = ("--model", "cnn_gru", "--workers", "2", "--loop.epochs", "1", "--loop.batch_size", "8")
    command = ("-m", "pipelines.train", "--data", str(extracted), *flags)
    code, said = three.run(*command, more=three.exports())
    assert code == 0, said
    workers = [actor for actor in three.ask("actors") if "TrainWorker" in actor["class_name"]]
    assert len({actor["node_id"] for actor in workers}) == len(workers) == 2


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
    agents = agent_ports(three)
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


def test_a_strangers_driver_is_refused_in_one_line(
    three: Nodes, stranger: dict[str, str], indexed: Path
) -> None:
    more = stranger | nodes.ON_LOOPBACK | {"RAY_ADDRESS": three.state.gcs_address}
    code, said = three.run("-m", "pipelines.extract", "--data", str(indexed), more=more)
    assert code == 2
    (line,) = said.splitlines()
    assert line.startswith(f"error: the cluster at {three.state.gcs_address} refuses the token")


def test_nothing_of_the_cluster_listens_beyond_loopback(three: Nodes) -> None:
    heard = listening(three)
    assert {process for process, _ in heard} >= {"gcs_server", "raylet", "ray::DashboardAgent"}
    assert [one for one in heard if not is_loopback(one[1])] == []


def test_a_lost_node_costs_no_row_and_leaves_no_process(
    indexed: Path, one_process: Path, tmp_path: Path
) -> None:
    shared_memory = set(Path("/dev/shm").glob("plasma*"))
    with cluster_in(tmp_path / "workspace") as three:
        job = three.start("-m", "cluster", "submit", "extract", "--data", str(indexed), *EXTRACT)
        wait_for(lambda: bool(decoders(three, node=3)))
        kill_all_but_decoders(three, node=3)
        wait_for(lambda: not nodes.processes_of(three.workspace, node=3))
        said, _ = job.communicate(timeout=200)
        assert job.returncode == 0, said
        gone = next(node_id for node_id, number in three.numbers().items() if number == 3)
        lost = [task for task in three.ask("tasks") if task["node_id"] == gone]
        assert "FAILED" in {task["state"] for task in lost}, "it had work when it was killed"
        wait_for(lambda: three.command("status").splitlines()[3] == "node 3: dead")
        temp_dir = Path(three.state.temp_dir)
        three.command("down")
        assert not nodes.processes_of(three.workspace)
        assert not temp_dir.exists()
        assert set(Path("/dev/shm").glob("plasma*")) <= shared_memory
    assert_equal(indexed, one_process)


def agent_ports(three: Nodes) -> list[str]:
    """Where the nodes' agents take jobs."""
    flag = "--dashboard-agent-listen-port="
    words = [word for one in nodes.processes_of(three.workspace) for word in one.cmdline()]
    return [word.removeprefix(flag) for word in words if word.startswith(flag)]


def listening(three: Nodes) -> list[tuple[str, str]]:
    """Process and address of every socket that a process of the cluster listens on."""
    return [
        (process.name(), socket.laddr.ip)
        for process in nodes.processes_of(three.workspace)
        for socket in process.net_connections("inet")
        if socket.status == psutil.CONN_LISTEN
    ]


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback
