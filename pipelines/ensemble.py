"""Measure several cross-validations as one: the mean of what they told of each clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from pipelines import cli
from pipelines.measuring_folds import (
    BY_FOLD,
    DEALT,
    Dealt,
    common_tags,
    log_measured,
    log_protocol,
    make_part,
    read_sets,
    require_measured,
)
from videoproc import runlog, schema
from videoproc.corpus import manifest
from videoproc.corpus.folds import SIDES, Fold
from videoproc.learning.ensemble import mean_answers, pair_clips
from videoproc.learning.learner import Told
from videoproc.learning.samples import find_samples
from videoproc.learning.scored import Scored, select
from videoproc.report.progress import say
from videoproc.tables import Dataset
from videoproc.tasks import Scores, Spec, select_task
from videoproc.types import Row, UserError

JOB = "ensemble"
JOB_OF_MEMBERS = "cross_validate"
SEED = 0
"""What stands for a seed in its tables: its members have theirs."""


@dataclass(frozen=True, kw_only=True)
class EnsembleConfig:
    """What ensemble does.

    Args:
        data: the dataset folder of the new run. Runs may be of others with the same videos.
        runs: the ids of two or more finished cross-validations, or beginnings of them (6
            characters or more), with commas between.
    """

    data: str
    runs: str

    def __post_init__(self) -> None:
        if len(self.prefixes) < 2:
            raise ValueError(
                f"runs is {self.runs!r}: give two run ids or more, with commas between"
            )

    @property
    def prefixes(self) -> list[str]:
        return [prefix.strip() for prefix in self.runs.split(",") if prefix.strip()]


@dataclass(frozen=True, kw_only=True)
class Member:
    """A cross-validation, and what it told: of each repeat one set a seed, all of the same clips in
    one order. by_fold: what each seed's fold has cost."""

    run: runlog.Run
    folds: Sequence[Fold]
    of_repeat: Mapping[int, Sequence[Scored]]
    by_fold: Sequence[Row]

    @property
    def run_id(self) -> str:
        return self.run.run_id

    @property
    def tags(self) -> Mapping[str, str]:
        return self.run.tags

    @property
    def said(self) -> str:
        return f"run {self.run_id} ({self.tags['model']})"

    @property
    def clips(self) -> Sequence[Row]:
        return self.of_repeat[0][0].about

    @property
    def spec(self) -> Spec:
        return self.of_repeat[0][0].spec

    @property
    def seeds(self) -> int:
        return len(self.of_repeat[0])


@dataclass(frozen=True, kw_only=True)
class Prepared(Dealt):
    """What a config comes to. places: of each member, where it has each tested sample."""

    members: Sequence[Member]
    places: Sequence[np.ndarray]
    model: str
    key: str


def ensemble(config: EnsembleConfig) -> str:
    """Measure several cross-validations as one: the mean of what they told of each clip."""
    workspace = cli.workspace()
    prepared = prepare(config, workspace)
    data, model = prepared.dataset.folder, prepared.model
    ids = ",".join(sorted(member.run_id for member in prepared.members))  # in whatever order
    tags = {
        "job": JOB,
        "data": str(data),
        "cross_validation_key": prepared.key,
        runlog.MEMBERS: ids,
    }
    if found := runlog.find_run(data=data, workspace=workspace, tags=tags):
        say(JOB, f"{model}: as run {found.run_id} has measured it, not measured again")
        return found.run_id
    params = asdict(config) | {"runs": ids}
    with runlog.job_run(JOB, data=data, workspace=workspace, config=params, name=model) as run:
        folds_by = prepared.members[0].tags["folds_by"]
        common = common_tags(prepared, key=prepared.key, folds_by=folds_by, model=model)
        run.set_tags(common | {runlog.MEMBERS: ids})
        log_protocol(run, prepared, before=[member.run for member in prepared.members])
        trainings = " + ".join(str(member.seeds) for member in prepared.members)
        say(
            JOB,
            f"{model}: the mean of {len(prepared.members)} cross-validations ({trainings} seeds) "
            f"on the same {len(prepared.folds)} folds, run {run.run_id}",
        )
        say(JOB, f"{model}: {log_measured(prepared, _answers(prepared), run)}")
    return run.run_id


def prepare(config: EnsembleConfig, workspace: Path) -> Prepared:
    """Read the members and check that they fit together and to the dataset; a UserError before a
    run is opened."""
    members = _members(config, workspace)
    first, task_name = members[0], members[0].tags["task"]
    task = select_task(task_name)
    if task.ensemble is None:
        raise UserError(
            f"task {task_name!r} has no ensemble.py that takes answers together: compare its runs "
            "with `pipelines.compare`"
        )
    dataset = Dataset(folder=cli.absolute(config.data))
    videos = manifest.from_table(dataset.require_manifest())
    dealt = {i for fold in first.folds for side in SIDES for i in getattr(fold, side)}
    found = find_samples(
        dataset,
        recipe=dataset.recipe,
        videos=[video for video in videos if video.video_id in dealt],
        all_views=True,
    )
    samples = [sample for sample in found if task.targets.is_usable(sample.row)]
    tested = [sample.row for sample in samples if sample.row["view"] == 0]
    places = [
        pair_clips(tested, m.clips, of_clips=f"dataset {dataset.folder}", of_others=m.said)
        for m in members
    ]
    return Prepared(
        dataset=dataset,
        videos=videos,
        task_name=task_name,
        folds=first.folds,
        samples=samples,
        parts=[make_part(SEED, fold, samples, dataset) for fold in first.folds],
        members=members,
        places=places,
        model=" + ".join(member.tags["model"] for member in members),
        key=schema.content_id(
            JOB,
            sorted(member.tags["cross_validation_key"] for member in members),
            [[sample.row[name] for name in ("clip_id", "label", "group")] for sample in samples],
        ),
    )


def _members(config: EnsembleConfig, workspace: Path) -> list[Member]:
    runs = [_validated(prefix, workspace) for prefix in config.prefixes]
    for a, b in combinations(runs, 2):
        _check_alike(a, b)
    members = [_read(run) for run in runs]
    first = members[0]
    for other in members[1:]:
        pair_clips(first.clips, other.clips, of_clips=first.said, of_others=other.said)
        if first.spec != other.spec:
            raise UserError(
                f"{first.said} and {other.said} have learned other things, {first.spec} and "
                f"{other.spec}: cross-validate both on the same labels"
            )
    return members


def _validated(prefix: str, workspace: Path) -> runlog.Run:
    run = runlog.resolve_run(prefix, workspace=workspace)
    if (job := run.tags.get("job")) != JOB_OF_MEMBERS:
        raise UserError(
            f"runs: run {run.run_id!r} is one of {job}: give ids of cross-validations "
            "(`pipelines.cross_validate`)"
        )
    return require_measured(run)


def _check_alike(a: runlog.Run, b: runlog.Run) -> None:
    names = f"runs {a.run_id} ({a.tags['model']}) and {b.run_id} ({b.tags['model']})"
    if a.tags["cross_validation_key"] == b.tags["cross_validation_key"]:
        raise UserError(
            f"{names} are the same cross-validation, which would count twice: give one of them"
        )
    if a.tags["task"] != b.tags["task"]:
        raise UserError(
            f"{names} learned different tasks, {a.tags['task']} and {b.tags['task']}: give runs "
            "of one"
        )
    keys = [run.tags["folds_key"] for run in (a, b)]
    if keys[0] != keys[1]:
        raise UserError(
            f"{names} have other folds (keys {keys[0]} and {keys[1]}): run both with the same "
            "folds.* on the same manifest"
        )


def _read(run: runlog.Run) -> Member:
    by_fold = run.read_json(BY_FOLD)
    of_repeat: dict[int, list[Scored]] = {}
    named = dict.fromkeys((row["seed"], row["repeat"]) for row in by_fold)
    for (_, repeat), scored in zip(named, read_sets(run), strict=True):
        of_repeat.setdefault(repeat, []).append(scored)
    sides = [fold | {side: tuple(fold[side]) for side in SIDES} for fold in run.read_json(DEALT)]
    return Member(
        run=run,
        folds=[Fold(**fold) for fold in sides],
        of_repeat=of_repeat,
        by_fold=by_fold,
    )


def _answers(prepared: Prepared) -> list[Told]:
    """What the members together told of each part."""
    whole = {
        repeat: _of_repeat(prepared, repeat) for repeat in {fold.repeat for fold in prepared.folds}
    }
    tested = [i for i, sample in enumerate(prepared.samples) if sample.row["view"] == 0]
    place = {index: number for number, index in enumerate(tested)}
    told = []
    for part in prepared.parts:
        scores, losses = whole[part.fold.repeat]
        here = np.array([place[index] for index in part.test])
        cost = [
            row
            for member in prepared.members
            for row in member.by_fold
            if (row["repeat"], row["fold"]) == (part.fold.repeat, part.fold.number)
        ]
        parameters = [row["parameters"] for row in cost if "parameters" in row]
        told.append(
            Told(
                spec=prepared.members[0].spec,
                scores=select(scores, here),
                losses=losses[here],
                parameters=sum(parameters) if parameters else None,
                learn_s=sum(row["learn_seconds"] for row in cost),
                answer_s=sum(row["answer_seconds"] for row in cost),
            )
        )
    return told


def _of_repeat(prepared: Prepared, repeat: int) -> tuple[Scores, np.ndarray]:
    """Scores and losses of all tested samples, in their order."""
    members = [
        [select(scored.scores, places) for scored in member.of_repeat[repeat]]
        for member, places in zip(prepared.members, prepared.places, strict=True)
    ]
    return mean_answers(members, prepared.task)


if __name__ == "__main__":
    cli.main(ensemble, EnsembleConfig)
