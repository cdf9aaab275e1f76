"""Three Ray nodes on this machine: what they share out, who may come in, and what jobs make of
them. One CPU each, so that two workers of a training stand on two nodes."""

from __future__ import annotations

import ipaddress
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from cluster import local, nodes
from videoproc.tables import Dataset

pytestmark = pytest.mark.slow

NODES = {1, 2, 3}
# Long enough for every node to have a worker up before the work is done, and to lose a node in it.
EXTRACT = (
    *("--sampling.num_frames", "4", "--size.height", "16", "--size.width", "16"),
    *("--augmentation.views", "24", "--commit_every_s", "0"),
)


@dataclass(frozen=True)
class Nodes:
    """The cluster of a workspace, as a user has it."""

    workspace: Path

    def environ(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        foreign = ("RAY_", "VIDEOPROC_", "MLFLOW_")
        plain = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
        own = {"VIDEOPROC_WORKSPACE": str(self.workspace), "PYTHONPATH": str(nodes.ROOT)}
        return {**plain, **own, **(more or {})}

    def start(self, *words: str, more: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """A command of the user's: python and `words`."""
        return subprocess.Popen(
            [sys.executable, *words],
            cwd=nodes.ROOT,
            env=self.environ(more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str, more: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Its exit code and what it said."""
        with self.start(*words, more=more) as process:
            said, _ = process.communicate(timeout=200)
        return process.returncode, said

    def command(self, *words: str) -> str:
        """What `python -m cluster` says; it must succeed."""
        code, said = self.run("-m", "cluster", *words)
        assert code == 0, said
        return said

    def exports(self) -> dict[str, str]:
        """What `eval "$(python -m cluster env)"` sets."""
        lines = self.command("env").splitlines()
        return dict(shlex.split(line)[1].split("=", 1) for line in lines)

    @property
    def state(self) -> local.Cluster:
        cluster = local.find_cluster(self.workspace)
        assert cluster is not None
        return cluster

    def ask(self, what: str) -> list[dict[str, Any]]:
        """A list of Ray's state API: nodes, tasks, actors."""
        url = f"{self.state.dashboard_url}/api/v0/{what}?detail=1&limit=10000"
        headers = local.auth_headers(self.workspace / "cluster" / "token")
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers)) as answer:
            return list(json.load(answer)["data"]["result"]["result"])

    def numbers(self) -> dict[str, int]:
        """Each node's number by Ray's id."""
        return {node["node_id"]: nodes.node_number(node) for node in self.ask("nodes")}


@contextmanager
def cluster_in(workspace: Path) -> Iterator[Nodes]:
    three = Nodes(workspace)
    try:
        three.command("up", "--nodes", "3", "--cpus", "1")
        yield three
    finally:
        local.stop_cluster(workspace)


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with cluster_in(tmp_path_factory.mktemp("three") / "workspace") as three:
        yield three


@pytest.fixture(scope="module")
def one_process(_indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus as `extract` makes it without Ray. Read it, never write to it."""
    folder = tmp_path_factory.mktemp("one process")
    data = Path(shutil.copytree(_indexed, folder / "data"))
    alone = Nodes(folder / "workspace")  # of which none is up
    code, said = alone.run("-m", "pipelines.extract", "--data", str(data), *EXTRACT, "--inline")
    assert code == 0, said
    return data


def rows(data: Path) -> dict[str, Any]:
    """The tables that a night makes, each in the order of its key."""
    dataset = Dataset(folder=data)
    return {
        name: table.read().sort_by([(column, "ascending") for column in table.key])
        for name, table in {
            "manifest": dataset.manifest,
            "clips": dataset.clips,
            "features": dataset.features,
        }.items()
    }


def assert_equal(made: Path, wanted: Path) -> None:
    there = rows(made)
    for name, table in rows(wanted).items():
        assert table.num_rows
        assert there[name].equals(table), name


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


def test_a_strangers_driver_is_refused_by_name_of_the_reason(
    three: Nodes, stranger: dict[str, str]
) -> None:
    more = stranger | nodes.ON_LOOPBACK
    program = f"import ray; ray.init(address={three.state.gcs_address!r})"
    code, said = three.run("-c", program, more=more)
    assert code != 0
    assert "Unauthenticated" in said or "InvalidAuthToken" in said


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


def decoders(three: Nodes, *, node: int) -> set[int]:
    """The children that decode for the workers of a node."""
    found = set()
    for process in nodes.processes_of(three.workspace, node=node):
        with suppress(psutil.NoSuchProcess):
            if "isolate._serve" in " ".join(process.cmdline()):
                found.add(process.pid)
    return found


def kill_all_but_decoders(three: Nodes, *, node: int) -> None:
    """End a node without a word, as power does; what it leaves must end by itself."""
    spared = decoders(three, node=node)
    for process in nodes.processes_of(three.workspace, node=node):
        if process.pid not in spared:
            with suppress(psutil.NoSuchProcess):
                process.kill()


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


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
