"""Videos per second of the whole pipeline beside bare decoders and what else one might write.

    python -m benchmarks.pipeline.throughput --data FIGHTS --work FOLDER [--only NAME ...]

FIGHTS holds short MP4 files. They are copied until there are enough, each copy distinct, and all
contenders read 16 frames at 112x112 of each, on all cores of this machine. The contenders take
turns, so that what else the machine does hits all alike, and what counts are ratios within a
round. The two whose ratio is the goal read for two minutes each and more in all, on a machine of 4
cores. The peers read fewer videos, and so does the job beside them: the start of
Ray's workers weighs alike in both. What each does, and what time is meant, stands in
`contenders.py`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.pipeline import contenders
from benchmarks.pipeline.contenders import (
    BARE,
    CONTENDERS,
    ONE,
    OURS,
    OURS_FEATURES,
    OURS_FEWER,
)
from benchmarks.pipeline.copies import write_copies
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "pipeline_throughput.json"
LEAST = 0.8
"""Videos per second of the job, of those of the bare decoders."""

FEWER = {ONE: 60}
"""The slowest reads one in so many of the videos."""

PEERS_READ = 8
"""The other peers one in so many."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, help="a folder to make, for its files")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--videos", type=int, default=6000, help="of a turn of the two that count")
    parser.add_argument("--only", nargs="+", choices=CONTENDERS, help="these; nothing is kept")
    arguments = parser.parse_args()
    if arguments.work.exists():
        parser.error(f"--work {arguments.work} is there already: name a folder to make")
    started, code = time.monotonic(), code_version()
    try:
        record = measure(arguments)
    finally:
        shutil.rmtree(arguments.work, ignore_errors=True)
    record["elapsed_s"] = time.monotonic() - started
    print(table(record))
    if not arguments.only:
        head = {
            "record": "pipeline_throughput",
            "version": 1,
            "command": "python -m benchmarks.pipeline.throughput --data FIGHTS --work FOLDER",
            "settings": {"rounds": arguments.rounds, "videos": arguments.videos},
            "machine": machine(),
            "versions": versions(),
            "code_version": code,
        }
        RESULT.write_text(json.dumps({**head, **record}, indent=1) + "\n")
    print(f"\n{record['elapsed_s']:.0f} s")


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    work = Work(arguments.work.absolute())
    counts = {
        name: arguments.videos
        if name in (OURS, BARE)
        else max(1, arguments.videos // FEWER.get(name, PEERS_READ))
        for name in arguments.only or CONTENDERS
    }
    work.prepare(arguments.data, sorted(set(counts.values())))
    differences = work.run("check", contenders.CHECKED)
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in counts}
    names = list(counts)
    for number in range(arguments.rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            said = work.run(name, counts[name])
            turns[name].append(said)
            print(
                f"round {number + 1}: {name:<24} {said['videos']:>5} videos in "
                f"{said['read_s']:6.1f} s, {per_s(said):6.1f}/s",
                flush=True,
            )
    return {
        "mean_absolute_pixel_difference": differences,
        "turns": turns,
        "videos_per_s": {name: [per_s(turn) for turn in of] for name, of in turns.items()},
    }


class Work:
    """The folder with the copies, and a dataset of each number of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def prepare(self, source: Path, counts: list[int]) -> None:
        paths = write_copies(source, self.folder / "videos", count=max(*counts, contenders.CHECKED))
        (self.folder / "paths.txt").write_text("".join(f"{path}\n" for path in paths))
        for count in counts:
            listed = self.folder / f"{count}.csv"
            listed.write_text("path\n" + "".join(f"{path}\n" for path in paths[:count]))
            self._python(
                *("pipelines.index", "--source", listed, "--layout", "csv"),
                *("--data", self.folder / f"indexed-{count}"),
            )

    def run(
        self, name: str, count: int, *, environ: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What a contender says of itself; extract finds a dataset that was only indexed.

        environ: how a cluster that is up already is found.
        """
        data = self.folder / "data"
        if name in (OURS, OURS_FEWER, OURS_FEATURES):
            shutil.copytree(self.folder / f"indexed-{count}", data)
        started = time.monotonic()
        out = self._python(
            *("benchmarks.pipeline.contenders", name, data, self.folder / "paths.txt", count),
            environ=environ,
        )
        process_s = time.monotonic() - started
        shutil.rmtree(data, ignore_errors=True)
        said: dict[str, Any] = json.loads(out.splitlines()[-1])
        return said if name == "check" else {"process_s": process_s, **said}

    def _python(self, module: str, *words: object, environ: Mapping[str, str] | None = None) -> str:
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("RAY_", "MLFLOW_"))}
        own = {
            "VIDEOPROC_WORKSPACE": str(self.folder / "workspace"),
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        done = subprocess.run(
            [sys.executable, "-m", module, *map(str, words)],
            stdout=subprocess.PIPE,
            text=True,
            env={**plain, **own, **(environ or {})},
        )
        if done.returncode:
            raise SystemExit(f"{module} {words[0]} ended with {done.returncode}: {done.stdout}")
        return done.stdout


def per_s(turn: dict[str, Any]) -> float:
    return float(turn["videos"] / turn["read_s"])


def table(record: dict[str, Any]) -> str:
    """Each contender's speed, and the job's beside it by round."""
    speeds: dict[str, list[float]] = record["videos_per_s"]
    lines = [f"{'':<24}{'videos/s':>10}{'extract is':>12}{'lowest':>9}{'highest':>9}{'read s':>9}"]
    for name, of in speeds.items():
        read_s = sum(turn["read_s"] for turn in record["turns"][name])
        line = f"{name:<24}{median(of):>10.1f}"
        beside = OURS if name in (OURS, BARE) else OURS_FEWER  # as many videos, or nearly
        if beside in speeds:
            ratios = [ours / other for ours, other in zip(speeds[beside], of, strict=True)]
            line += f"{median(ratios):>11.2f}x{min(ratios):>8.2f}x{max(ratios):>8.2f}x"
            record.setdefault("extract_is", {})[name] = {
                "median": median(ratios),
                "by_round": ratios,
            }
        lines.append(line + f"{read_s:>9.0f}")
    if OURS in speeds and BARE in speeds:
        reached = record["extract_is"][BARE]["median"]
        verdict = "held" if reached >= LEAST else "missed"
        lines.append(f"{reached:.2f} of the bare decoders; at least {LEAST} {verdict}")
    for name in (OURS, OURS_FEWER, OURS_FEATURES):
        for turn in record["turns"].get(name, ()):
            spent = {**turn["worker_s"], "idle": turn["idle_core_s"]}
            whole = sum(spent.values())
            shares = ", ".join(f"{k} {v / whole:.1%}" for k, v in spent.items())
            lines.append(f"{name}: {shares}; whole job {turn['job_s']:.1f} s")
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    return {"cores": os.cpu_count(), "cpu": model, "machine": platform.machine()}


def versions() -> dict[str, str]:
    packages = {"opencv": "opencv-python-headless"}
    names = ("av", "decord", "numpy", "opencv", "pyarrow", "ray")
    return {name: version(packages.get(name, name)) for name in names}


if __name__ == "__main__":
    main()
