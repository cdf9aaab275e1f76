"""Three Ray nodes on this machine, as the tests of this folder use and kill them."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cluster import local, nodes
from videoproc.storage import Anywhere
from videoproc.tables import Dataset

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

    def run(
        self, *words: str, more: Mapping[str, str] | None = None, timeout_s: float = 200
    ) -> tuple[int, str]:
        """Its exit code and what it said."""
        with self.start(*words, more=more) as process:
            said, _ = process.communicate(timeout=timeout_s)
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
def cluster_in(workspace: Path, *, number: int = 3) -> Iterator[Nodes]:
    three = Nodes(workspace)
    try:
        three.command("up", "--nodes", str(number), "--cpus", "1")
        yield three
    finally:
        local.stop_cluster(workspace)


def rows(data: Anywhere) -> dict[str, Any]:
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


def assert_equal(made: Anywhere, wanted: Anywhere) -> None:
    there = rows(made)
    for name, table in rows(wanted).items():
        assert table.num_rows
        assert there[name].equals(table), name


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


def wait_for(condition: Callable[[], bool], *, timeout_s: float = 120) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def tasks_by_node(three: Nodes, *, of: str) -> set[int]:
    """The nodes that had tasks of the last job with tasks of such a name."""
    return _nodes_of_last_job(three, [t for t in three.ask("tasks") if of in t["name"]])


def trainers_by_node(three: Nodes) -> set[int]:
    """The nodes on which the workers of the last training stood; there was one on each."""
    workers = [a for a in three.ask("actors") if "TrainWorker" in a["class_name"]]
    nodes = _nodes_of_last_job(three, workers)
    last = max(worker["job_id"] for worker in workers)
    assert len([worker for worker in workers if worker["job_id"] == last]) == len(nodes)
    return nodes


def _nodes_of_last_job(three: Nodes, found: list[dict[str, Any]]) -> set[int]:
    numbers, last = three.numbers(), max(one["job_id"] for one in found)
    return {numbers[one["node_id"]] for one in found if one["job_id"] == last}
