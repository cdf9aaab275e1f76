"""Where the CPU time of reading goes: each part by subtracting bare PyAV code that lacks it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median

import av

from benchmarks.media import ways
from benchmarks.media.ways import Job

REST = "Python, planning, probing"


def parts(
    jobs: Sequence[Job], *, rounds: int, cpu_s: Callable[[Callable[[], None]], float]
) -> dict[str, list[float]]:
    """CPU seconds of each part, a value for each round."""
    stages: dict[str, Callable[[Job], object]] = {
        "open": lambda job: _open(job, demux=False),
        "demux": lambda job: _open(job, demux=True),
        "decode reference frames": lambda job: ways.only_decode(job, wanted_frames=False),
        "decode wanted frames that none refers to": ways.only_decode,
        "scale": lambda job: ways.decode_and_scale(job, to_arrays=False),
        "copy to arrays": lambda job: ways.decode_and_scale(job, to_arrays=True),
        REST: ways.read_videoproc,
    }
    totals: dict[str, list[float]] = {name: [] for name in stages}
    for number in range(rounds + 1):
        for name, stage in stages.items():
            spent_s = cpu_s(lambda stage=stage: [stage(job) for job in jobs])
            if number:
                totals[name].append(spent_s)
    found, before = {}, [0.0] * rounds
    for name, total in totals.items():
        found[name] = [now - earlier for now, earlier in zip(total, before, strict=True)]
        before = total
    return found


def table(found: dict[str, list[float]]) -> str:
    total = sum(median(values) for values in found.values())
    lines = [f"{'part':<42}{'CPU s':>9}{'share':>8}{'min':>9}{'max':>9}"]
    for name, values in found.items():
        middle = median(values)
        lines.append(
            f"{name:<42}{middle:>9.3f}{middle / total:>8.1%}{min(values):>9.3f}{max(values):>9.3f}"
        )
    return "\n".join(lines)


def _open(job: Job, *, demux: bool) -> None:
    with av.open(str(job.path)) as container:
        if demux:
            for _ in container.demux(video=0):
                pass
