"""How throughput grows with processes: N that read the same clips beside one that does.

Efficiency is the time of one process over the time of N that each do as much: 1 where the
machine has room for all of them.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from benchmarks.media import ways
from benchmarks.media.ways import Job


def efficiencies(
    names: Sequence[str], jobs: Sequence[Job], *, processes: int, rounds: int
) -> dict[str, Any]:
    """For each way, by round: seconds of one process and of all, and their quotient."""
    found: dict[str, Any] = {name: {"one_s": [], "all_s": []} for name in names}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for number in range(rounds + 1):
            for name in names:
                one_s = _wall_s(pool, name, jobs, processes=1)
                all_s = _wall_s(pool, name, jobs, processes=processes)
                if number:  # the first round starts the processes
                    found[name]["one_s"].append(one_s)
                    found[name]["all_s"].append(all_s)
    for of in found.values():
        of["efficiency"] = [one / every for one, every in zip(of["one_s"], of["all_s"], strict=True)]
    return found


def _wall_s(pool: ProcessPoolExecutor, name: str, jobs: Sequence[Job], *, processes: int) -> float:
    started = time.perf_counter()
    for done in [pool.submit(ways.read_all, name, jobs) for _ in range(processes)]:
        done.result()
    return time.perf_counter() - started
