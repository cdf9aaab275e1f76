"""How throughput grows with processes: N that read the same clips beside one that does.

Efficiency is the time of one process over the time of N that each do as much: 1 where the
machine has room for all of them. The same of CPU seconds, where another's load counts less, tells
what the processes take from each other's memory and caches.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor

from benchmarks.media import ways
from benchmarks.media.ways import Job


def efficiencies(
    names: Sequence[str], jobs: Sequence[Job], *, processes: int, rounds: int
) -> dict[str, dict[str, list[float]]]:
    """For each way, by round: seconds of one process and of all, and their quotients."""
    columns = ("one_s", "all_s", "efficiency", "cpu_efficiency")
    found: dict[str, dict[str, list[float]]] = {name: {c: [] for c in columns} for name in names}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context) as pool:
        for number in range(rounds + 1):
            for name, of in found.items():
                one_s, one_cpu_s = _read(pool, name, jobs, processes=1)
                all_s, all_cpu_s = _read(pool, name, jobs, processes=processes)
                if number == 0:  # this round starts the processes
                    continue
                of["one_s"].append(one_s)
                of["all_s"].append(all_s)
                of["efficiency"].append(one_s / all_s)
                of["cpu_efficiency"].append(one_cpu_s / all_cpu_s)
    return found


def _read(
    pool: ProcessPoolExecutor, name: str, jobs: Sequence[Job], *, processes: int
) -> tuple[float, float]:
    """Wall seconds until all are done, and mean CPU seconds of a process."""
    started = time.perf_counter()
    running = [pool.submit(ways.read_all, name, jobs) for _ in range(processes)]
    spent_s = [one.result() for one in running]
    return time.perf_counter() - started, sum(spent_s) / processes
