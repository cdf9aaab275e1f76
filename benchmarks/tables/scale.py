"""What a growing corpus costs the driver: time and memory, of many rows and of many videos.

    python -m benchmarks.tables.scale rows --work FOLDER [--count 1000000]
    python -m benchmarks.tables.scale videos --work FOLDER [--count 30000] [--nights 6]
    python -m benchmarks.tables.scale log --work FOLDER [--count 20000]

`rows`: a manifest of so many videos that are nowhere, and a stub in place of decoding. Timed is
what `extract` does before the first video would be decoded: with nothing done (plan), and with the
clips and vectors of half of them in the tables (resume). Then what `train` does of that half before
its first batch: where each clip lies, and in which order they come. Each in a process of its own.

`videos`: copies of one short video made distinct by a trailing `free` box of the container, which
decoders pass over and digests do not. They come in equal nights, each an `index` and an `extract`
of a process of its own, so that a cost that grows with what is there shows as a slope. `index` and
`extract` use all cores, by child processes and by Ray.

`log`: so many shards of one row in one table, 20 a commit. Every 1,000 shards: what a commit takes,
what opening the table anew, what reading the keys of all its rows, and how large the log is.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).parents[1] / "results"
SHARD_ROWS = 20_000
MIB = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--work", type=Path, required=True, help="a folder for its files")
    parser.add_argument("--count", type=int, help="rows or videos")
    parser.add_argument("--nights", type=int, default=6)
    arguments = parser.parse_args()
    PARTS[arguments.part](arguments)


def rows(arguments: argparse.Namespace) -> None:
    """Plan and resume at a million rows of the manifest."""
    count, work = arguments.count or 1_000_000, arguments.work
    shutil.rmtree(work, ignore_errors=True)
    measured = {}
    measured["prepare"] = _in_a_process("prepare", work, count)
    measured["plan"] = _in_a_process("plan", work, count)
    measured["fill"] = _in_a_process("fill", work, count)
    measured["resume"] = _in_a_process("plan", work, count)
    measured["samples"] = _in_a_process("samples", work, count)
    for name in ("plan", "resume", "samples"):
        said = measured[name]
        print(
            f"{name:<8} {said['elapsed_s']:6.1f} s   {said['peak_mib']:6.0f} MiB   {said['said']}"
        )
    _keep("scale_rows", {"rows": count, **measured})


def videos(arguments: argparse.Namespace) -> None:
    """Nights of distinct copies: what each costs."""
    count, work, nights = arguments.count or 30_000, arguments.work, arguments.nights
    shutil.rmtree(work, ignore_errors=True)
    original = _original(work)
    measured: list[dict[str, Any]] = []
    for night in range(nights):
        there, wanted = night * count // nights, (night + 1) * count // nights
        _copy(original, work / "videos", there, wanted)
        one: dict[str, Any] = {"videos": wanted, "new": wanted - there}
        for job in ("index", "extract"):
            one[job] = _in_a_process(job, work, wanted)
        one["tables"] = _tables(work / "data")
        one["mlflow"] = _mlflow(work / "workspace" / "mlflow.db")
        measured.append(one)
        print(_line(one), flush=True)
    empty = {job: _in_a_process(job, work, count) for job in ("index", "extract")}
    result = {"nights": measured, "empty": empty, "slopes": _slopes(measured)}
    print(json.dumps({"empty": empty, "slopes": result["slopes"]}, indent=2))
    _keep("scale_videos", result)


def log(arguments: argparse.Namespace) -> None:
    """A table that is never compacted: what its log costs."""
    count, work = arguments.count or 20_000, arguments.work
    shutil.rmtree(work, ignore_errors=True)
    one: dict[str, Any] = _in_a_process("log", work, count)
    for at in one["at"]:
        print(", ".join(f"{name} {value:.4g}" for name, value in at.items()))
    shards = [at["shards"] / 1000 for at in one["at"]]
    slopes = {
        f"{name}_per_1000_shards": float(np.polyfit(shards, [at[name] for at in one["at"]], 1)[0])
        for name in ("commit_s", "open_s", "keys_s", "log_mib")
    }
    print(json.dumps(slopes, indent=2))
    _keep("scale_log", {"shards": count, "slopes": slopes, **one})


def _line(one: dict[str, Any]) -> str:
    parts = [f"{one['videos']:>6} videos"]
    for job in ("index", "extract"):
        per_s = one[job]["elapsed_s"] / one["new"] * 1000
        parts.append(f"{job} {per_s:6.1f} s per 1,000 new, {one[job]['peak_mib']:5.0f} MiB")
    return "   ".join(parts)


def _slopes(measured: list[dict[str, Any]]) -> dict[str, float]:
    """By least squares over the nights: what 1,000 videos more cost in all, and what 1,000 that
    are there already add to a night."""
    there = np.array([one["videos"] for one in measured]) / 1000
    slopes = {}
    for job in ("index", "extract"):
        spent_s = np.array([one[job]["elapsed_s"] for one in measured])
        peak = np.array([one[job]["peak_mib"] for one in measured])
        total_s = np.cumsum(spent_s)
        slopes |= {
            f"{job}_s_per_1000": float(np.polyfit(there, total_s, 1)[0]),
            f"{job}_total_r2": float(np.corrcoef(there, total_s)[0, 1] ** 2),
            f"{job}_s_added_to_a_night_per_1000_there": float(np.polyfit(there, spent_s, 1)[0]),
            f"{job}_driver_mib_per_1000": float(np.polyfit(there, peak, 1)[0]),
        }
    return slopes


def _in_a_process(step: str, work: Path, count: int) -> dict[str, Any]:
    """What a step says of itself; measured alone, so that peaks of memory do not mix."""
    command = [sys.executable, "-m", "benchmarks.tables.scale_steps", step, str(work), str(count)]
    environment = os.environ | {"VIDEOPROC_WORKSPACE": str(work / "workspace")}
    started = time.monotonic()
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return {"process_s": time.monotonic() - started} | measured


def _tables(data: Path) -> dict[str, dict[str, float]]:
    """What lies on the disk: commits and bytes of a table's log, files and bytes beside it."""
    found = {}
    for log in sorted(data.rglob("_delta_log")):
        table = log.parent
        shards = [path.stat().st_size for path in table.glob("*.parquet")]
        entries = [path.stat().st_size for path in log.iterdir() if path.is_file()]
        found[str(table.relative_to(data))] = {
            "commits": len(list(log.glob("*.json"))),
            "log_mib": sum(entries) / MIB,
            "files": len(shards),
            "mib": sum(shards) / MIB,
        }
    return found


def _mlflow(database: Path) -> dict[str, float]:
    """What MLflow's store holds by now."""
    with closing(sqlite3.connect(database)) as store:
        rows = {
            name: store.execute(f"select count(*) from {name}").fetchone()[0]
            for name in ("runs", "params", "metrics", "tags")
        }
    return {**rows, "mib": database.stat().st_size / MIB}


def _original(work: Path) -> bytes:
    from videoproc.media import write_video

    work.mkdir(parents=True)
    texture = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    texture = texture.repeat(10, axis=0).repeat(10, axis=1)
    path = work / "original.mp4"
    write_video(path, (np.roll(texture, i, axis=1) for i in range(48)), fps=24)
    return path.read_bytes()


def _copy(original: bytes, folder: Path, start: int, stop: int) -> None:
    for i in range(start, stop):
        path = folder / f"label{i % 4}" / f"{i // 1000:03d}" / f"{i:06d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(original + struct.pack(">I4sQ", 16, b"free", i))


def _keep(name: str, result: dict[str, Any]) -> None:
    machine = {"cores": os.cpu_count(), "processor": platform.machine()}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(
        json.dumps({"machine": machine, "command": _command(), **result}, indent=2) + "\n"
    )


def _command() -> str:
    said = " ".join(["python -m benchmarks.tables.scale", *sys.argv[1:]])
    return re.sub(r"--work \S+", "--work FOLDER", said)


PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "rows": rows,
    "videos": videos,
    "log": log,
}

if __name__ == "__main__":
    main()
