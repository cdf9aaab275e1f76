"""What the processes of a job take: the sizes that `cluster/README.md` names, measured.

    python -m benchmarks.pipeline.memory --data DATA --work FOLDER

DATA holds `surveillance_fights` (300 clips of 2 s) and `clips` with a file of 122 s at 1080p. Each
job runs on a Ray cluster of this machine's cores; ten times a second every process below it is
looked at, and ten times a second Ray is asked what its object store holds. Kept are the peaks: of
one worker, of one decoder (the child that reads files), of the driver, of what Ray itself has
beside them, and of all together. `own_mib` is a process's own memory (USS: what ending it would
give back); `rss_mib` counts libraries and the object store in every process that maps them.

`loader`: clips a second that training's loader reads from the shards, and CPU seconds per clip;
nobody trains meanwhile. The shards are in the system's memory then: no disk or network is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import psutil

from benchmarks.pipeline.copies import write_copies
from benchmarks.pipeline.throughput import machine
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "pipeline_memory.json"
LONG = "clips/video2dataset/test_video.mp4"  # H.264, 1080p, 122 s
EVERY_S = 0.1
MIB = 1 << 20
FRAMES = ("--sampling.num_frames", "16", "--size.height", "112", "--size.width", "112")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--work", type=Path, required=True, help="a folder to make, for its files")
    parser.add_argument("--long", type=int, default=8, help="copies of the 1080p file")
    arguments = parser.parse_args()
    if arguments.work.exists():
        parser.error(f"--work {arguments.work} is there already: name a folder to make")
    started, code = time.monotonic(), code_version()
    try:
        measured = measure(arguments.data, arguments.work.absolute(), num_long=arguments.long)
    finally:
        shutil.rmtree(arguments.work, ignore_errors=True)
    record = {
        "record": "pipeline_memory",
        "version": 1,
        "command": "python -m benchmarks.pipeline.memory --data DATA --work FOLDER",
        "settings": {"long": arguments.long},
        "machine": machine(),
        "code_version": code,
        "jobs": measured,
        "elapsed_s": time.monotonic() - started,
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(f"{record['elapsed_s']:.0f} s")


def measure(data: Path, work: Path, *, num_long: int) -> dict[str, Any]:
    os.environ["VIDEOPROC_WORKSPACE"] = str(work / "workspace")
    short, long = work / "short", work / "long"
    write_copies((data / LONG).parent, work / "long-videos", count=num_long)
    jobs: dict[str, tuple[str, ...]] = {
        "index, 300 clips of 2 s": (
            *("index", "--source", str(data / "surveillance_fights"), "--data", str(short)),
        ),
        "extract, 300 clips of 2 s": ("extract", "--data", str(short), *FRAMES),
        f"index, {num_long} videos of 122 s at 1080p": (
            *("index", "--source", str(work / "long-videos"), "--data", str(long)),
        ),
        f"extract, {num_long} videos of 122 s at 1080p, clips of 2 s": (
            *("extract", "--data", str(long), *FRAMES, "--sampling.clip_s", "2"),
        ),
        "loader": ("loader", "--data", str(short)),
        "train, 1 worker": (
            *("train", "--data", str(short), "--model", "cnn_gru", "--loop.epochs", "1"),
        ),
        "predict, stored clips": ("predict", "--data", str(short), "--run", "RUN"),
        "predict, videos of 122 s at 1080p": ("predict", "--data", str(long), "--run", "RUN"),
    }
    measured = {}
    for name, (job, *flags) in jobs.items():
        flags = [_last_run(work) if flag == "RUN" else flag for flag in flags]
        measured[name] = watched(job, flags)
        print(_line(name, measured[name]), flush=True)
    return measured


def watched(job: str, flags: list[str]) -> dict[str, Any]:
    """A job in a process of its own: what it said, and the peaks of all below it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.pipeline.memory_jobs", job, *flags],
        stdout=subprocess.PIPE,
        text=True,
    )
    peaks = Peaks()
    while process.poll() is None:
        peaks.look(process.pid)
        time.sleep(EVERY_S)
    assert process.stdout is not None
    out = process.stdout.read()
    if process.returncode:
        raise SystemExit(f"{job} ended with {process.returncode}: {out}")
    said: dict[str, Any] = json.loads(out.splitlines()[-1])
    return {**said, "processes": peaks.of, "all_own_mib": peaks.all_own_mib}


class Peaks:
    """The most that one process of each kind has had, and the most of all together, MiB."""

    def __init__(self) -> None:
        self.of: dict[str, dict[str, float]] = {}
        self.all_own_mib = 0.0

    def look(self, driver: int) -> None:
        together = 0.0
        counts: defaultdict[str, int] = defaultdict(int)
        for process in _below(driver):
            try:
                memory = process.memory_full_info()
                kind = "driver" if process.pid == driver else _kind(process)
            except psutil.Error:
                continue
            counts[kind] += 1
            together += memory.uss / MIB
            peak = self.of.setdefault(kind, {"own_mib": 0.0, "rss_mib": 0.0, "at_once": 0})
            peak["own_mib"] = max(peak["own_mib"], memory.uss / MIB)
            peak["rss_mib"] = max(peak["rss_mib"], memory.rss / MIB)
            peak["at_once"] = max(peak["at_once"], counts[kind])
        self.all_own_mib = max(self.all_own_mib, together)


def _below(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _kind(process: psutil.Process) -> str:
    words = " ".join(process.cmdline())
    if "isolate._serve" in words:
        return "decoder"
    if words.startswith("ray::IDLE") or "default_worker.py" in words:
        return "idle worker"
    if words.startswith("ray::"):
        return "worker"
    return process.name() if process.name() in ("raylet", "gcs_server") else "other of Ray"


def _last_run(work: Path) -> str:
    runs = sorted((work / "workspace" / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
    return runs[-1].name


def _line(name: str, of: dict[str, Any]) -> str:
    processes = ", ".join(
        f"{kind} {peak['own_mib']:.0f} ({peak['rss_mib']:.0f} rss) x {peak['at_once']:.0f}"
        for kind, peak in sorted(of["processes"].items())
    )
    return f"{name}\n  all {of['all_own_mib']:.0f} MiB; {processes}\n  {of['said']}"


if __name__ == "__main__":
    main()
