"""What was told of all folds as one run's metrics, pictures and tables, for `cross_validate` and
`ensemble`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pipelines.learned_from import LearnedFrom, with_parents
from pipelines.measuring import (
    SCORES,
    Measured,
    beside,
    measure,
    over_baselines,
    put_together,
    said_interval,
)
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.corpus.folds import SIDES, Fold, folds_key
from videoproc.learning.baseline_learner import tell_all
from videoproc.learning.learner import Told
from videoproc.learning.pooling import FOLDS, FURTHER, mean_intervals, pool, pool_scores
from videoproc.learning.samples import Sample, used_clips, videos_and_groups
from videoproc.learning.scored import Scored, from_table
from videoproc.tables import Dataset
from videoproc.tasks import Scores, Task, select_task
from videoproc.types import Row, UserError, Video

DEALT = f"{FOLDS}/folds.json"
BY_FOLD = f"{FOLDS}/by_fold.json"
"""What is logged last."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A fold under a seed: which of the samples are on each side."""

    seed: int
    fold: Fold
    train: Sequence[int]
    val: Sequence[int]
    test: Sequence[int]

    @property
    def name(self) -> str:
        return f"seed-{self.seed}-repeat-{self.fold.repeat}-fold-{self.fold.number}"

    @property
    def said(self) -> str:
        return self.name.replace("-", " ")


@dataclass(frozen=True, kw_only=True)
class Dealt:
    """A dataset's samples, dealt into folds; parts: each fold under each seed."""

    dataset: Dataset
    videos: Sequence[Video]
    task_name: str
    folds: Sequence[Fold]
    samples: Sequence[Sample]
    parts: Sequence[Part]

    @property
    def task(self) -> Task:
        return select_task(self.task_name)


def make_part(seed: int, fold: Fold, samples: Sequence[Sample], dataset: Dataset) -> Part:
    """Of the tested and the choosing videos the clips themselves, to learn from all views. Errors:
    UserError for a side without a clip."""
    side_of = {video_id: side for side in SIDES for video_id in getattr(fold, side)}
    indices: dict[str, list[int]] = {side: [] for side in SIDES}
    for index, sample in enumerate(samples):
        side = side_of.get(sample.row["video_id"])
        if side == "train" or (side and sample.row["view"] == 0):
            indices[side].append(index)
    for side, there in indices.items():
        if not there and (side != "val" or fold.val):
            raise UserError(
                f"dataset {dataset.folder} has no clip for side {side} of fold {fold.number} "
                f"(repeat {fold.repeat}): make clips (`pipelines.extract`), or use fewer folds"
            )
    return Part(seed=seed, fold=fold, **indices)


def common_tags(dealt: Dealt, *, key: str, folds_by: str, model: str) -> dict[str, Any]:
    """What a run is found and compared by."""
    return {
        "cross_validation_key": key,
        "folds_key": folds_key(dealt.folds),
        "folds_by": folds_by,
        "task": dealt.task_name,
        "model": model,
        "manifest_digest": manifest.digest(dealt.videos),
        "table_version.clips": dealt.dataset.clips.version,
        "table_version.manifest": dealt.dataset.manifest.version,
    }


def log_protocol(run: runlog.Run, dealt: Dealt, *, before: Sequence[runlog.Run] = ()) -> None:
    """Which videos and clips stand on which side. before: runs whose weights or answers are used,
    with all that those have learned from."""
    of_side = {
        side: {index for part in dealt.parts for index in getattr(part, side)} for side in SIDES
    }
    own = {
        side: videos_and_groups([dealt.samples[i] for i in sorted(indices)])
        for side, indices in of_side.items()
    }
    learned_from: LearnedFrom = own
    for one in before:
        learned_from = with_parents(learned_from, one, data=dealt.dataset.folder)
    run.log_json(learned_from, runlog.LEARNED_FROM)
    run.log_json([asdict(fold) for fold in dealt.folds], DEALT)
    run.log_dataset(**used_clips(dealt.dataset, dealt.samples, context="training"))


def log_measured(dealt: Dealt, told: Sequence[Told], run: runlog.Run) -> str:
    """Metrics, pictures and tables of what was told of each part; the figures for people."""
    sets = _sets(dealt, told)
    measured = {name: measure(scored, dealt.task) for name, scored in sets.items()}
    metrics = _mean(list(measured.values())) | mean_intervals(list(sets.values()), dealt.task)
    metrics |= _spreads(dealt, told, list(measured.values()))
    baselines = _baselines(dealt, list(sets.values()))
    run.log_metrics({f"{FOLDS}/{n}": v for n, v in (metrics | baselines).items()})
    first, *others = measured
    measured[first].log_files(run, FOLDS)
    further = {f"{FOLDS}/{name}/{SCORES}": measured[name].table for name in others}
    for place, table in further.items():
        run.log_table(table, place)
    run.log_json(list(further), FURTHER)
    run.log_json(_by_fold(dealt, told), BY_FOLD)
    return _headline(dealt, metrics, baselines, sets=len(sets))


def of_fold(dealt: Dealt, told: Told) -> dict[str, float]:
    """The metrics of one fold, and what it has cost."""
    known = {} if told.parameters is None else {"parameters": told.parameters}
    return dealt.task.metrics.summarise(told.scores, told.spec) | {
        "loss": float(told.losses.mean()),
        "clips": len(told.losses),
        "learn_seconds": told.learn_s,
        "answer_seconds": told.answer_s,
        **known,
    }


def require_measured(run: runlog.Run) -> runlog.Run:
    """The run, if `log_measured` has come to its end; else a UserError."""
    if not run.has(BY_FOLD):
        raise UserError(
            f"run {run.run_id} ({run.tags['job']}) has not come to its end: give its command again"
        )
    return run


def read_sets(run: runlog.Run) -> list[Scored]:
    """What a measured run told of all clips, of each seed and repeat in their order."""
    places = [f"{FOLDS}/{SCORES}", *run.read_json(FURTHER)]
    return [from_table(run.read_table(place)) for place in places]


def _sets(dealt: Dealt, told: Sequence[Told]) -> dict[str, Scored]:
    """All samples with what was told of each by the fold that tested it, by seed and repeat."""
    found: dict[str, list[tuple[Sequence[Sample], Told]]] = {}
    for part, one in zip(dealt.parts, told, strict=True):
        tested = [dealt.samples[index] for index in part.test]
        found.setdefault(f"seed_{part.seed}_repeat_{part.fold.repeat}", []).append((tested, one))
    sets = {}
    for name, parts in found.items():
        samples, scores, losses = pool(parts)
        sets[name] = put_together(
            samples, dealt.videos, scores, losses, task=dealt.task_name, spec=parts[0][1].spec
        )
    return sets


def _mean(measured: Sequence[Measured]) -> dict[str, float]:
    """Of each metric that all have."""
    names = [name for name in measured[0].metrics if all(name in m.metrics for m in measured)]
    return {name: float(np.mean([m.metrics[name] for m in measured])) for name in names}


def _spreads(dealt: Dealt, told: Sequence[Told], measured: Sequence[Measured]) -> dict[str, float]:
    """Of the monitored metric, over folds, and over seeds and repeats where there are several."""
    monitor = dealt.task.metrics.MONITOR
    summaries = [dealt.task.metrics.summarise(one.scores, one.spec) for one in told]
    of_folds = [summary[monitor] for summary in summaries]
    found = {f"{monitor}_fold_std": float(np.std(of_folds, ddof=1))}
    if len(measured) > 1:
        of_sets = [one.metrics[monitor] for one in measured]
        found[f"{monitor}_std"] = float(np.std(of_sets, ddof=1))
    return found


def _baselines(dealt: Dealt, sets: Sequence[Scored]) -> dict[str, float]:
    """What must be beaten, on the folds of the first repeat: all that a fold's model may learn
    from, they may."""
    videos = {video.video_id: video for video in dealt.videos}
    found: dict[str, list[tuple[Sequence[Sample], Scores]]] = {}
    for part in dealt.parts:
        if part.fold.repeat or part.seed != dealt.parts[0].seed:
            continue
        learned, test = (
            [dealt.samples[index] for index in indices]
            for indices in ((*part.train, *part.val), part.test)
        )
        told = tell_all(learned, test, videos=videos, task=sets[0].task, spec=sets[0].spec)
        for name, scores in told.items():
            found.setdefault(name, []).append((test, scores))
    pooled = {name: pool_scores(parts) for name, parts in found.items()}
    return over_baselines(sets, pooled, dealt.task)


def _by_fold(dealt: Dealt, told: Sequence[Told]) -> list[Row]:
    return [
        {"seed": part.seed, "repeat": part.fold.repeat, "fold": part.fold.number}
        | {name: v for name, v in of_fold(dealt, one).items() if "/" not in name}
        | {"chosen": one.settings}
        for part, one in zip(dealt.parts, told, strict=True)
    ]


def _headline(
    dealt: Dealt, metrics: Mapping[str, float], baselines: Mapping[str, float], *, sets: int
) -> str:
    name = dealt.task.metrics.MONITOR
    several = (
        f"; mean of {sets} (seeds x repeats), std {metrics[f'{name}_std']:.3f}" if sets > 1 else ""
    )
    return (
        f"{FOLDS}/{name} {metrics[name]:.3f} ({said_interval(metrics, name)}), "
        f"{metrics['clips']:.0f} clips of {metrics['videos']:.0f} videos, std over folds "
        f"{metrics[f'{name}_fold_std']:.3f}{several}{beside(baselines, name, FOLDS)}"
    )
