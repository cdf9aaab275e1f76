"""What several nodes cost: the same videos on the same cores, as one node, two and more.

    python -m benchmarks.pipeline.nodes --data FIGHTS --work FOLDER

The nodes are those of `make cluster-up`, all on this machine, so what a network would cost is not
in it: only that each node has an own raylet and object store, and that work is dealt among them.
The numbers of nodes take turns, and what counts is the ratio of videos per second within a round.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.pipeline.contenders import CORES, OURS
from benchmarks.pipeline.throughput import Work, machine, per_s
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "pipeline_nodes.json"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, help="a folder to make, for its files")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--videos", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.work.exists():
        parser.error(f"--work {arguments.work} is there already: name a folder to make")
    started, code = time.monotonic(), code_version()
    try:
        turns = measure(arguments)
    finally:
        shutil.rmtree(arguments.work, ignore_errors=True)
    speeds = {number: [per_s(turn) for turn in of] for number, of in turns.items()}
    ratios = {
        number: [many / one for many, one in zip(of, speeds[1], strict=True)]
        for number, of in speeds.items()
    }
    for number, of in ratios.items():
        print(
            f"{number} nodes of {CORES // number} cores: {median(speeds[number]):.1f} videos/s, "
            f"{median(of):.2f} of one node ({min(of):.2f} to {max(of):.2f})"
        )
    record = {
        "record": "pipeline_nodes",
        "version": 1,
        "command": "python -m benchmarks.pipeline.nodes --data FIGHTS --work FOLDER",
        "settings": {"rounds": arguments.rounds, "videos": arguments.videos},
        "machine": machine(),
        "code_version": code,
        "turns": turns,
        "of_one_node": ratios,
        "elapsed_s": time.monotonic() - started,
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{record['elapsed_s']:.0f} s")


def measure(arguments: argparse.Namespace) -> dict[int, list[dict[str, Any]]]:
    work = Work(arguments.work.absolute())
    work.prepare(arguments.data, [arguments.videos])
    turns: dict[int, list[dict[str, Any]]] = {n: [] for n in (1, 2, 4) if CORES % n == 0}
    for number in range(arguments.rounds):
        for nodes in sorted(turns, reverse=bool(number % 2)):
            with cluster(work.folder / "workspace", nodes) as environ:
                said = work.run(OURS, arguments.videos, environ=environ)
            turns[nodes].append(said)
            print(f"round {number + 1}: {nodes} nodes, {per_s(said):.1f} videos/s", flush=True)
    return turns


@contextmanager
def cluster(workspace: Path, nodes: int) -> Iterator[dict[str, str]]:
    """So many nodes that share the cores; what a driver must set to find them."""
    plain = {k: v for k, v in os.environ.items() if not k.startswith("RAY_")}
    environ = {**plain, "VIDEOPROC_WORKSPACE": str(workspace)}

    def command(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "cluster", *words],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )
        return done.stdout

    command("up", "--nodes", str(nodes), "--cpus", str(CORES // nodes))
    try:
        lines = command("env").splitlines()
        yield dict(shlex.split(line)[1].split("=", 1) for line in lines)
    finally:
        command("down")


if __name__ == "__main__":
    main()
