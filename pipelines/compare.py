"""Say how two trained models differ: in what they measure, why, and in what made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from itertools import groupby
from pathlib import Path

from pipelines import cli
from pipelines.measuring import SCORES
from pipelines.measuring_folds import read_sets, require_measured
from videoproc import runlog, storage
from videoproc.learning.compare import (
    Difference,
    Disagreement,
    Pair,
    differences,
    disagreements,
    pair,
)
from videoproc.learning.pooling import FOLDS
from videoproc.learning.scored import Scored, from_table
from videoproc.storage import Anywhere
from videoproc.tasks import Task, select_task
from videoproc.types import UserError

FEW_SOURCES = 10
ID_CHARS = 8


@dataclass(frozen=True)
class CompareConfig:
    """What compare does.

    Args:
        run_a: the id of a training run, or the beginning of one (6 characters or more); or that of
            a cross-validation or an ensemble, whose clips are those that its folds have tested.
        run_b: that of another of the same kind; differences are b - a.
        data: the dataset that both were evaluated on; by default the one that they learned from.
        split: the split that both were evaluated on.
        why: list the clips that one of them alone gets right.
        count: clips that `why` lists of each of the two.
    """

    run_a: str
    run_b: str
    _: KW_ONLY
    data: str | None = None
    split: str = "test"
    why: bool = False
    count: int = 20

    def __post_init__(self) -> None:
        if self.split not in ("train", "val", "test"):
            raise ValueError(f"split is {self.split!r}: use train, val or test")
        if self.count < 1:
            raise ValueError(f"count is {self.count}: use 1 or more")


def compare(config: CompareConfig) -> list[Difference]:
    """Say how two trained models differ: in what they measure, why, and in what made them."""
    workspace = cli.workspace()
    a, b = (_trained(prefix, workspace) for prefix in (config.run_a, config.run_b))
    task = _common_task(a, b)
    if config.why and task.mistakes is None:
        raise UserError(f"why: task {a.tags['task']!r} has no mistakes.py that tells right clips")
    data = _common_data(a, b, config)
    split = FOLDS if _are_folded(a, b) else config.split
    measured = [_evaluation(run, data, split, workspace) for run in (a, b)]
    tables = [from_table(run.read_table(f"{split}/{SCORES}")) for run in measured]
    more_a, more_b = (_more(run) for run in measured)
    found = pair(*tables, more_a=more_a, more_b=more_b)
    if not found.a.about:
        raise UserError(
            f"runs {a.run_id} and {b.run_id} have no measured clip in common on {data}: evaluate "
            "both on the same videos, with the same seconds a clip"
        )
    print(f"A: {_named(a, more_a)}\nB: {_named(b, more_b)}\n")
    print(_clips(found, tables, split) + "\n")
    compared = differences(found, task)
    seeds = len(more_a) + len(more_b) > 0
    verdict = _verdict(compared[0], task, len(set(found.a.sources)), is_mean=seeds)
    print(f"{_table(compared)}\n\n{verdict}\n")
    if config.why:
        of_first = " under its first seed and repeat" if seeds else ""
        for title, clips in zip(("A", "B"), disagreements(found, task), strict=True):
            print(_listed(f"only {title} is right{of_first}", clips, count=config.count) + "\n")
    print("config: " + _changes(a.params, b.params))
    print("data: " + "; ".join(_data(a, b, measured, found)))
    print("code: " + _changes(_code(a), _code(b)), flush=True)
    return compared


def _trained(prefix: str, workspace: Path) -> runlog.Run:
    run = runlog.resolve_run(prefix, workspace=workspace)
    job = run.tags.get("job")
    if job not in ("train", *runlog.FOLDED):
        raise UserError(
            f"run {run.run_id!r} is one of {job}: give the id of a training run, or of a "
            "cross-validation or an ensemble"
        )
    return run


def _are_folded(a: runlog.Run, b: runlog.Run) -> bool:
    """Whether both are measured over folds, which must be the same ones."""
    jobs = [run.tags["job"] for run in (a, b)]
    if (jobs[0] in runlog.FOLDED) is not (jobs[1] in runlog.FOLDED):
        raise UserError(
            f"runs are of different kinds, {' and '.join(jobs)}: give two trainings, or two "
            "cross-validations (or ensembles of some)"
        )
    keys = [run.tags.get("folds_key") for run in (a, b)]
    if keys[0] != keys[1]:
        raise UserError(
            f"cross-validations {a.run_id} and {b.run_id} have other folds (keys {keys[0]} and "
            f"{keys[1]}): run both with the same folds.* on the same manifest"
        )
    return jobs[0] in runlog.FOLDED


def _common_task(a: runlog.Run, b: runlog.Run) -> Task:
    names = [run.tags["task"] for run in (a, b)]
    if names[0] != names[1]:
        raise UserError(f"runs learned different tasks, {' and '.join(names)}: give two of one")
    return select_task(names[0])


def _common_data(a: runlog.Run, b: runlog.Run, config: CompareConfig) -> Anywhere:
    if config.data is not None:
        return cli.absolute(config.data)
    folders = [run.tags["data"] for run in (a, b)]
    if folders[0] != folders[1]:
        raise UserError(
            f"runs learned from different datasets, {' and '.join(folders)}: say with --data on "
            "which to compare them"
        )
    return storage.at(folders[0])


def _more(run: runlog.Run) -> list[Scored]:
    """What a cross-validation told under its other seeds and repeats."""
    return read_sets(run)[1:] if run.tags["job"] in runlog.FOLDED else []


def _evaluation(run: runlog.Run, data: Anywhere, split: str, workspace: Path) -> runlog.Run:
    if run.tags["job"] in runlog.FOLDED:
        return require_measured(run)
    tags = {"job": "evaluate", "evaluated_run": run.run_id, "split": split, "data": str(data)}
    found = runlog.find_run(data=data, workspace=workspace, tags=tags)
    if found is None:
        raise UserError(
            f"run {run.run_id} has no evaluation to compare by: run `python -m pipelines.evaluate "
            f"--data {data} --run {run.run_id} --split {split}`"
        )
    return found


def _named(run: runlog.Run, more: Sequence[Scored]) -> str:
    several = f", mean of {len(more) + 1} (seeds x repeats)" if more else ""
    return f"{run.run_id[:ID_CHARS]} {run.tags['model']}{several}"


def _clips(found: Pair, tables: Sequence[Scored], split: str) -> str:
    sources = len(set(found.a.sources))
    same = f"{len(found.a.about)} clips of split {split}, from {sources} source(s)"
    if found.is_whole:
        return f"Both were measured on the same {same}."
    return (
        f"Not measured on the same clips (A {len(tables[0].about)}, B {len(tables[1].about)}): "
        f"compared on the common {same}; left out {found.only_a} of A alone, {found.only_b} of B "
        f"alone, {found.relabelled} whose label has changed between."
    )


def _table(compared: Sequence[Difference]) -> str:
    left = max(len(d.name) for d in compared)
    lines = [f"{'':<{left}}{'A':>10}{'B':>10}{'B - A':>10}   95 % interval by source"]
    for d in compared:
        between = "-" if d.low is None else f"{d.low:+.4f} to {d.high:+.4f}"
        shown = "   shown" if d.is_shown else ""
        lines.append(
            f"{d.name:<{left}}{d.a:>10.4f}{d.b:>10.4f}{d.b - d.a:>+10.4f}   {between}{shown}"
        )
    return "\n".join(lines)


def _verdict(first: Difference, task: Task, sources: int, *, is_mean: bool) -> str:
    """Whether the monitored metric differs by more than the choice of sources explains."""
    if first.low is None:
        return (
            f"Not shown: all clips are of one source, so nothing says how {first.name} would "
            "differ on another."
        )
    between = f"{first.low:+.4f} to {first.high:+.4f}"
    rough = (
        f" {sources} sources are few: take the interval as rough." if sources < FEW_SOURCES else ""
    )
    if not first.is_shown:
        said = f"Not shown: the interval of the difference in {first.name}, {between}, holds 0."
    else:
        better = "B" if (first.b > first.a) is task.metrics.MAXIMISE else "A"
        said = (
            f"Shown: {better} has the better {first.name} (B - A {first.b - first.a:+.4f}, "
            f"{between})."
        )
    seed = "another seed" if not is_mean else "other seeds"
    return f"{said}{rough} It covers other clips, not {seed} of the training."


def _listed(title: str, split: Sequence[Disagreement], *, count: int) -> str:
    videos = len({d.about["video_id"] for d in split})
    lines = [f"{title}: {len(split)} clips of {videos} videos"]
    for source, of_source in groupby(split[:count], key=lambda d: d.source):
        total = sum(d.source == source for d in split)
        lines.append(f"  {source}: {total}")
        for d in of_source:
            span = f"{d.about['start_s']:.1f}-{d.about['end_s']:.1f} s"
            told = ", ".join(
                f"{name} says {answer.told} ({answer.confidence:.2f})"
                for name, answer in (("A", d.a), ("B", d.b))
            )
            lines.append(f"    {d.about['uri']} {span}: true {d.a.true}; {told}")
    if len(split) > count:
        lines.append(f"  and {len(split) - count} more (--count {len(split)} lists all)")
    return "\n".join(lines)


def _changes(a: Mapping[str, str], b: Mapping[str, str]) -> str:
    changed = [
        f"{name} {a.get(name, '-')} -> {b.get(name, '-')}"
        for name in sorted({*a, *b})
        if a.get(name) != b.get(name)
    ]
    return "; ".join(changed) or "the same"


def _data(a: runlog.Run, b: runlog.Run, measured: Sequence[runlog.Run], found: Pair) -> list[str]:
    kept = ("data", "manifest_digest", "table_version.clips", "table_version.manifest")
    lines = [_changes(*({k: run.tags[k] for k in kept if k in run.tags} for run in (a, b)))]
    learned_a, learned_b = (run.read_json(runlog.LEARNED_FROM) for run in (a, b))
    for split in ("train", "val"):
        before, after = (set(learned[split]["videos"]) for learned in (learned_a, learned_b))
        if before != after:
            lines.append(
                f"videos in {split}: {len(after - before)} added, {len(before - after)} removed"
            )
    if not found.is_whole:
        lines.append(
            f"measured clips: {found.only_b} added, {found.only_a} removed, "
            f"{found.relabelled} relabelled"
        )
    digests = [run.tags["manifest_digest"] for run in measured]
    if digests[0] != digests[1]:
        lines.append("the manifest has changed between the evaluations: evaluate the older again")
    return lines


def _code(run: runlog.Run) -> dict[str, str]:
    return {k: v for k, v in run.tags.items() if k == "code_version" or k.startswith("version.")}


if __name__ == "__main__":
    cli.main(compare, CompareConfig)
