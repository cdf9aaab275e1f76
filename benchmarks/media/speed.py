"""The media engine's speed beside torchcodec, OpenCV, the obvious PyAV loop and bare decoding.

    python -m benchmarks.media.speed --data DATA [--profile]

DATA holds clips/ and surveillance_fights/. Every way reads the same frames at the same size, in
this process, on one core and in one thread; the ways take turns, and what counts is the ratio of
their CPU times (children's included) within a round: the median of the rounds, beside the lowest
and the highest. Before the rounds everything is read once, unmeasured: there the times of each
way's frames are compared with those of videoproc, and the frames of videoproc with those that
its documents promise. Pixels differ a little, as scaling does: swscale's AREA (videoproc, PyAV),
torchcodec's resize transform (bilinear), OpenCV's INTER_AREA; the mean absolute difference is
recorded.

torchcodec runs at its best settings: approximate seek, resize transform, one thread. Where its
approximate seek gives other frames (a varying frame rate), that file is read by its exact one;
how many is recorded. With `snap_s` the peers are asked for the frames that videoproc chose.

"only decoding" is the floor: open the file, decode from each key frame to the group's last wanted
frame, and drop what nothing refers to and nobody wants. It neither scales nor converts.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import os
import platform
import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Literal

import av
import numpy as np
import psutil

from benchmarks.media import parts, processes, ways
from benchmarks.media.ways import FLOOR, ISOLATED, OURS, TORCHCODEC, WAYS, Frames, Job, Layout
from videoproc.media import Sampling
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "media_speed.json"
LONG = "clips/video2dataset/test_video.mp4"  # H.264, 1080p, 122 s
VP9 = ("clips/pixeltable/10-Second*0]_half_res.webm", "clips/torchcodec/testsrc2_vp9.webm")
AV1 = ("clips/torchcodec/av1_video.mkv", "clips/torchcodec/testsrc2_av1_10bit.mp4")
MPEG4 = ("clips/torchcodec/testsrc2_mpeg4.avi",)
FIGHTS = "surveillance_fights/*/*.mp4"
PEERS = (TORCHCODEC, "OpenCV", "PyAV loop", FLOOR)
EFFICIENCY = 0.85


@dataclass(frozen=True, kw_only=True)
class Reach:
    """`of` takes at most `most` times the CPU of `to`."""

    of: str
    to: str
    most: float


@dataclass(frozen=True, kw_only=True)
class Case:
    name: str
    files: tuple[str, ...]
    """Patterns within the data folder."""
    sampling: Sampling
    reaches: tuple[Reach, ...]
    others: tuple[str, ...] = PEERS
    draw: int | None = None
    """So many of the files, a seeded choice."""
    repeats: int = 1
    """Readings of short files in one measurement."""


def cases() -> list[Case]:
    second = Sampling(pick="rate", rate_fps=1.0)
    even = Sampling(num_frames=16)
    return [
        Case(
            name="1080p, a frame a second",
            files=(LONG,),
            sampling=second,
            reaches=(Reach(of=OURS, to=TORCHCODEC, most=1 / 6),),
        ),
        Case(
            name="1080p, a frame in 5 s",
            files=(LONG,),
            sampling=Sampling(pick="rate", rate_fps=0.2),
            reaches=(Reach(of=OURS, to=TORCHCODEC, most=1 / 5),),
        ),
        Case(
            name="1080p, a frame a second, snap 0.5 s",
            files=(LONG,),
            sampling=replace(second, snap_s=0.5),
            reaches=(Reach(of=OURS, to=TORCHCODEC, most=1 / 15),),
            others=(TORCHCODEC, FLOOR),
        ),
        Case(
            name="2 s clips, 16 frames",
            files=(FIGHTS,),
            sampling=even,
            reaches=(
                Reach(of=OURS, to=TORCHCODEC, most=0.85),
                Reach(of=OURS, to=FLOOR, most=1.15),
                Reach(of=ISOLATED, to=OURS, most=1.05),
            ),
            others=(ISOLATED, *PEERS),
            draw=60,
        ),
        *(
            Case(
                name=f"{codec}, 16 frames",
                files=files,
                sampling=even,
                reaches=(Reach(of=OURS, to=TORCHCODEC, most=1.0),),
                repeats=3,
            )
            for codec, files in (("VP9", VP9), ("AV1", AV1), ("MPEG-4", MPEG4))
        ),
    ]


@dataclass(kw_only=True)
class Measured:
    """A case's readings: CPU seconds by way and round, and how the ways' frames compare."""

    case: Case
    jobs: list[Job]
    cpu_s: dict[str, list[float]]
    pixel_difference: dict[str, float] = field(default_factory=dict)
    cannot: dict[str, str] = field(default_factory=dict)
    """Ways that do not read these files, and why."""

    def ratios(self, reach: Reach) -> list[float]:
        return [a / b for a, b in zip(self.cpu_s[reach.of], self.cpu_s[reach.to], strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", required=True, type=Path, metavar="DIR")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--side", type=int, default=112, help="height and width of the frames")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of clips")
    parser.add_argument(
        "--only", default="", help="cases whose name contains this; nothing is kept"
    )
    parser.add_argument(
        "--profile", action="store_true", help="show where the first case's time goes"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1:
        parser.error(f"--rounds is {arguments.rounds}: give 1 or more")
    started, code = time.monotonic(), code_version()
    cores = sorted(os.sched_getaffinity(0))
    wanted = [case for case in cases() if arguments.only in case.name]
    try:
        os.sched_setaffinity(0, cores[-1:])
        measured = [measure(case, arguments, started) for case in wanted]
        if not measured:
            parser.error(f"--only {arguments.only!r} is in the name of no case")
        profile = (
            parts.parts(measured[0].jobs, rounds=arguments.rounds, cpu_s=cpu_s)
            if arguments.profile
            else {}
        )
    finally:
        os.sched_setaffinity(0, cores)
    clips = next((of for of in measured if of.case.draw), None)
    parallel = (
        processes.efficiencies(
            (OURS, FLOOR), clips.jobs, processes=len(cores), rounds=arguments.rounds
        )
        if clips
        else {}
    )
    print(table(measured, parallel, number=len(cores)))
    if profile:
        print(f"\n{measured[0].case.name}\n{parts.table(profile)}")
    if not arguments.only:
        record = {
            "record": "media_speed",
            "version": 1,
            "command": "python -m benchmarks.media.speed --data DATA",
            "settings": {k: v for k, v in vars(arguments).items() if k not in ("data", "only")},
            "machine": machine(len(cores)),
            "versions": versions(),
            "code_version": code,
            "cases": [account(of) for of in measured],
            "processes": {"number": len(cores), "least": EFFICIENCY, "ways": parallel},
            "profile_cpu_s": profile,
            "elapsed_s": time.monotonic() - started,
        }
        RESULT.write_text(json.dumps(record, indent=1) + "\n")
        print(f"\n{record['elapsed_s']:.0f} s; {RESULT.relative_to(Path(__file__).parents[2])}")


def measure(case: Case, arguments: argparse.Namespace, started: float) -> Measured:
    paths = find(arguments.data, case, seed=arguments.seed)
    jobs = [
        Job(path=path, layout=ways.read_layout(path), sampling=case.sampling, side=arguments.side)
        for path in paths
    ]
    of = Measured(case=case, jobs=[], cpu_s={})
    compare(of, jobs)
    names = [name for name in (OURS, *case.others) if name not in of.cannot]
    of.cpu_s = {name: [] for name in names}
    for number in range(arguments.rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            many = of.jobs * case.repeats
            of.cpu_s[name].append(cpu_s(lambda name=name, many=many: ways.read_all(name, many)))
    print(f"{time.monotonic() - started:.0f} s: {case.name}", flush=True)
    return of


def find(data: Path, case: Case, *, seed: int) -> list[Path]:
    found: list[Path] = []
    for pattern in case.files:
        matches = sorted(data.glob(pattern))
        if not matches:
            raise SystemExit(f"--data {data} holds no {pattern}: name the folder that does")
        found += matches
    return sorted(random.Random(seed).sample(found, case.draw)) if case.draw else found


def compare(of: Measured, jobs: Iterable[Job]) -> None:
    """Read everything once by every way: are the frames the same, and how far apart are pixels?"""
    differences: dict[str, list[float]] = {}
    for bare in jobs:
        ours = ways.read_videoproc(bare)
        assert ours.pts is not None
        layout = bare.layout
        indices = tuple(int(i) for i in np.searchsorted(layout.frame_pts, ours.pts))
        job = replace(bare, indices=indices)
        if job.pts != ours.pts or not as_promised(indices, layout=layout, sampling=job.sampling):
            raise SystemExit(f"{job.path.name}: videoproc gave frames {indices}, others are due")
        job = replace(job, seek_mode=seek_mode(job))
        of.jobs.append(job)
        for name in of.case.others:
            if name in of.cannot:
                continue
            try:
                frames = WAYS[name](job)
            except (RuntimeError, av.FFmpegError) as error:
                of.cannot[name] = str(error)
                continue
            if frames.pts not in (None, job.pts):
                of.cannot[name] = f"{job.path.name}: its frames are not those asked for"
            elif frames.frames_thwc.size:
                differences.setdefault(name, []).append(difference(frames, ours))
    of.pixel_difference = {name: float(np.mean(values)) for name, values in differences.items()}


def as_promised(indices: Sequence[int], *, layout: Layout, sampling: Sampling) -> bool:
    """Whether these are the frames that the documents of Sampling promise."""
    times_s, n = layout.times_s, len(layout.frame_pts)
    if sampling.rate_fps is None:
        T = sampling.num_frames  # noqa: N806
        return list(indices) == [(2 * i + 1) * n // (2 * T) for i in range(T)]
    end_s = 2 * times_s[-1] - times_s[-2]
    asked_s = np.arange(0, end_s - 1e-6, 1 / sampling.rate_fps)
    on_display = np.searchsorted(times_s, asked_s + 1e-6, side="right") - 1
    if sampling.snap_s == 0:
        return list(indices) == on_display.tolist()
    frame_s = times_s[1] - times_s[0]  # the frame on display may have begun a little before
    moved_s = np.abs(times_s[list(indices)] - asked_s)
    return bool(len(indices) == len(asked_s) and (moved_s <= sampling.snap_s + frame_s).all())


def seek_mode(job: Job) -> Literal["exact", "approximate"]:
    try:
        return job.seek_mode if ways.read_torchcodec(job).pts == job.pts else "exact"
    except (RuntimeError, IndexError):
        return "exact"


def difference(frames: Frames, ours: Frames) -> float:
    mine, other = (f.frames_thwc.astype(np.int16) for f in (ours, frames))
    return float(np.abs(mine - other).mean())


def cpu_s(call: Callable[[], object]) -> float:
    """CPU seconds of this process and its living children that `call` takes."""
    gc.collect()
    before = time.process_time() + children_cpu_s()
    call()
    return time.process_time() + children_cpu_s() - before


def children_cpu_s() -> float:
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(of.user + of.system for of in times)


def table(measured: Sequence[Measured], parallel: dict[str, Any], *, number: int) -> str:
    lines = [("case", "ratio", "median", "min", "max", "reach", "")]
    for of in measured:
        reached = {(reach.of, reach.to): reach for reach in of.case.reaches}
        pairs = [*reached, *((OURS, to) for to in of.cpu_s if to not in (OURS, ISOLATED))]
        for pair in dict.fromkeys(pairs):
            reach = reached.get(pair)
            ratios = of.ratios(reach or Reach(of=pair[0], to=pair[1], most=1.0))
            lines.append(
                (
                    of.case.name,
                    f"{pair[0]} / {pair[1]}",
                    *(f"{f(ratios):.3f}" for f in (median, min, max)),
                    f"<= {reach.most:.3f}" if reach else "",
                    verdict(median(ratios) <= reach.most) if reach else "",
                )
            )
        lines += [
            (of.case.name, f"{way}: {why}", "", "", "", "", "") for way, why in of.cannot.items()
        ]
    for what, name in itertools.product(("efficiency", "cpu_efficiency"), parallel):
        found = parallel[name][what]
        is_goal = (what, name) == ("efficiency", OURS)
        lines.append(
            (
                f"{number} processes",
                f"{what} of {name}",
                *(f"{f(found):.3f}" for f in (median, min, max)),
                f">= {EFFICIENCY}" if is_goal else "",
                verdict(median(found) >= EFFICIENCY) if is_goal else "",
            )
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(f"{cell:<{w}}" for cell, w in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def verdict(is_held: bool) -> str:
    return "held" if is_held else "missed"


def account(of: Measured) -> dict[str, Any]:
    """A case as it stands in the record."""
    return {
        "name": of.case.name,
        "videos": [f"{job.path.parent.name}/{job.path.name}" for job in of.jobs],
        "frames": sum(len(job.indices) for job in of.jobs),
        "packets_up_to_the_last_wanted": sum(ways.packets_needed(job) for job in of.jobs),
        "torchcodec_exact_seek": sum(job.seek_mode == "exact" for job in of.jobs),
        "repeats": of.case.repeats,
        "cpu_s": of.cpu_s,
        "median_cpu_s": {name: median(values) for name, values in of.cpu_s.items()},
        "mean_absolute_pixel_difference": of.pixel_difference,
        "cannot": of.cannot,
        "ratios": [
            {
                "of": reach.of,
                "to": reach.to,
                "reach": reach.most,
                "median": median(ratios := of.ratios(reach)),
                "held": median(ratios) <= reach.most,
                "by_round": ratios,
            }
            for reach in of.case.reaches
        ],
    }


def machine(cores: int) -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if "model name" in line), "")
    return {"cores": cores, "cpu": model, "machine": platform.machine()}


def versions() -> dict[str, str]:
    packages = {"opencv": "opencv-python-headless"}
    names = ("av", "numpy", "opencv", "torch", "torchcodec")
    avcodec = ".".join(map(str, av.library_versions["libavcodec"]))
    return {name: version(packages.get(name, name)) for name in names} | {"libavcodec": avcodec}


if __name__ == "__main__":
    main()
