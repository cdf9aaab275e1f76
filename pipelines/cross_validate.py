"""Measure a model by cross-validation: each video is tested once, by one that never saw it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pipelines import cli
from pipelines.initial import Initial, Source, find_source
from pipelines.learned_from import BEFORE, seen_by
from pipelines.learners import Asked, make_learner
from pipelines.measuring_folds import (
    Dealt,
    Part,
    common_tags,
    log_measured,
    log_protocol,
    make_part,
    of_fold,
)
from videoproc import runlog, schema
from videoproc.corpus import manifest
from videoproc.corpus.folds import FoldConfig, folds_key, make_folds, torn_groups
from videoproc.learning import told as stored
from videoproc.learning.classical_learner import ClassicalLearner
from videoproc.learning.config import LEARNING_VERSION, InitConfig, LoopConfig
from videoproc.learning.learner import Learner, Told
from videoproc.learning.network import Candidate, NetworkLearner
from videoproc.learning.samples import Sample, find_samples
from videoproc.report.progress import say
from videoproc.runtime import folds as runtime
from videoproc.runtime import session
from videoproc.runtime.folds import FoldLostError, FoldWorkers, Work
from videoproc.runtime.placement import Placement
from videoproc.runtime.shared_folder import held
from videoproc.storage import Anywhere
from videoproc.tables import Dataset
from videoproc.tasks import Task, select_task
from videoproc.types import UserError

JOB = "cross_validate"
FOLD = "fold"  # the job of a child run
SAID = "folds"


@dataclass(frozen=True, kw_only=True)
class CrossValidateConfig:
    """What cross_validate does.

    Args:
        data: the dataset folder.
        model: a network, a classifier of feature vectors (svm, forest, neighbours, boosting), or a
            baseline of the task (majority, header_only), by name.
        task: what is learned, by name.
        model_settings: settings of the network that differ from its defaults; of a classifier,
            which chooses its own within each fold otherwise.
        features: what a classifier learns from; by default all that the clips have.
        loop: how each fold's network is trained; its seed gives way to `seeds`.
        folds: how the videos are dealt.
        seeds: of weights, order and dropout, with commas between; each trains on all folds anew.
        init_from: begin each fold's network with the weights of a training run, by its id or the
            beginning of it, or of a safetensors file; by default weights are random. A run that
            has learned from what a fold tests is refused.
        init: how those weights find their place in the model.
        candidates: settings to choose among, each a mapping with model_settings and loop that
            differ from those above; every fold trains each, and takes the one that is best on its
            own val side. By default there is nothing to choose.
        cpus_per_fold: cores for each fold; by default those of the nodes are shared out.
        gpus_per_fold: GPUs for each fold, or a share of one; by default those of the nodes are
            shared out.
        max_failures: times that a fold goes on from its last checkpoint where its process or node
            was lost.
        placement: which nodes the folds are trained on, and what else each takes there.
        resume: the id of a run to go on with; its other settings must be the same. By default one
            that was cut off with these settings on these clips is gone on with.
        checkpoints: the folder of checkpoints, here or in an object store (s3://), one folder a
            run; every node must reach it. By default WORKSPACE/runs.
        inline: train fold by fold in this process, without Ray: for a debugger.
    """

    data: str
    model: str
    task: str = "classification"
    model_settings: dict[str, Any] = field(default_factory=dict)
    features: tuple[str, ...] | None = None
    loop: LoopConfig = field(default_factory=LoopConfig)
    folds: FoldConfig = field(default_factory=FoldConfig)
    seeds: int | str = "0"
    init_from: str | None = None
    init: InitConfig = field(default_factory=InitConfig)
    candidates: tuple[dict[str, Any], ...] = ()
    cpus_per_fold: int | None = None
    gpus_per_fold: float | None = None
    max_failures: int = 2
    placement: Placement = field(default_factory=Placement)
    resume: str | None = None
    checkpoints: str | None = None
    inline: bool = False

    def __post_init__(self) -> None:
        _ = self.seed_numbers, self.choices, self.workers
        self.init.check_used(self.init_from)

    @property
    def seed_numbers(self) -> list[int]:
        given = [seed.strip() for seed in str(self.seeds).split(",")]
        numbers = [int(seed) for seed in given if seed.isdecimal()]
        if len(set(numbers)) != len(given):
            raise ValueError(f"seeds is {self.seeds!r}: use different numbers, such as 0,1,2")
        return numbers

    @property
    def choices(self) -> tuple[Candidate, ...]:
        known = [one.name for one in fields(Candidate)]
        for candidate in self.candidates:
            if unknown := sorted(set(candidate) - set(known)):
                raise ValueError(f"candidates has {unknown[0]!r}: use {' and '.join(known)}")
        return tuple(Candidate(**candidate) for candidate in self.candidates)

    @property
    def workers(self) -> FoldWorkers:
        return FoldWorkers(
            cpus=self.cpus_per_fold,
            gpus=self.gpus_per_fold,
            max_failures=self.max_failures,
            placement=self.placement,
            inline=self.inline,
        )


@dataclass(frozen=True, kw_only=True)
class Prepared(Dealt):
    """What a config comes to on its dataset, nothing started. settings: the model's, in full.
    initial: what the first training begins with, None where weights are random."""

    learner: Learner
    settings: Mapping[str, Any]
    key: str
    initial: Initial | None = None


def cross_validate(config: CrossValidateConfig) -> str:
    """Measure a model by cross-validation: each video is tested once, by one that never saw it."""
    prepared, workspace = prepare(config), cli.workspace()
    earlier = _earlier(config, prepared, workspace)
    params = asdict(config) | {"model_settings": dict(prepared.settings)}
    with (
        _alone(workspace, earlier),  # before the run is touched, which another may be at work on
        runlog.job_run(
            JOB,
            data=prepared.dataset.folder,
            workspace=workspace,
            config=params,
            name=f"{config.model}, folds by {config.folds.by}",
            resume=earlier,
        ) as run,
        _alone(workspace, None if earlier else run.run_id),
    ):
        run.set_tags(_tags(config, prepared))
        parent = None if prepared.initial is None else prepared.initial.source.run
        log_protocol(run, prepared, before=[] if parent is None else [parent])
        _say_plan(config, prepared, run, is_resumed=earlier is not None)
        folder = _checkpoints(config, workspace) / run.run_id
        try:
            told = _learn(config, prepared, run, folder, workspace)
        except FoldLostError as error:
            raise cli.JobError(str(error)) from None
        say(SAID, f"{config.model}: {log_measured(prepared, told, run)}")
    return run.run_id


def prepare(config: CrossValidateConfig) -> Prepared:
    """Check a config against its dataset; a UserError before anything has started."""
    dataset = Dataset(folder=cli.absolute(config.data))
    videos = manifest.from_table(dataset.require_manifest())
    task = select_task(config.task)
    folds = make_folds(videos, config.folds)
    found = find_samples(dataset, recipe=dataset.recipe, videos=videos, all_views=True)
    samples = [sample for sample in found if task.targets.is_usable(sample.row)]
    source = None if config.init_from is None else find_source(config.init_from, config.init)
    learner, settings = make_learner(
        config.model,
        Asked(
            task=config.task,
            model_settings=config.model_settings,
            features=config.features,
            loop=config.loop,
            candidates=config.choices,
            first=None if source is None else source.first,
        ),
        dataset=dataset,
        videos=videos,
        samples=samples,
    )
    parts = [
        make_part(seed, fold, samples, dataset) for seed in config.seed_numbers for fold in folds
    ]
    _check_alike(parts, samples, task)
    _check_choices(config)
    initial = None
    if source is not None and isinstance(learner, NetworkLearner):
        _check_unseen(source, parts, samples, dataset)
        initial = _begin(source, learner, samples, seed=config.seed_numbers[0])
    key = schema.content_id(
        _decisive(config),
        settings,
        folds_key(folds),
        [[sample.row[name] for name in ("clip_id", "label", "group")] for sample in samples],
        LEARNING_VERSION,
        *([] if source is None else [source.first.key]),
    )
    return Prepared(
        dataset=dataset,
        videos=videos,
        task_name=config.task,
        learner=learner,
        settings=settings,
        folds=folds,
        samples=samples,
        parts=parts,
        key=key,
        initial=initial,
    )


def _decisive(config: CrossValidateConfig) -> dict[str, Any]:
    """The config without what changes no result beyond rounding, or stands in the key of the first
    weights."""
    bare = replace(
        config,
        data="",
        loop=replace(config.loop, checkpoint_every_steps=0, seed=0),
        cpus_per_fold=None,
        gpus_per_fold=None,
        max_failures=0,
        placement=Placement(),
        resume=None,
        checkpoints=None,
        inline=False,
    )
    values = asdict(bare) | {"loop": bare.loop.identity}
    return {name: value for name, value in values.items() if name not in ("init_from", "init")}


def _check_alike(parts: Sequence[Part], samples: Sequence[Sample], task: Task) -> None:
    """Answers are pooled: so all folds must learn of the same classes. Folds are dealt by labels of
    videos; a video has no clip with one label where it is in quarantine, or has several labels."""
    whole = task.targets.make_spec([sample.row for sample in samples])
    for part in parts:
        spec = task.targets.make_spec([samples[index].row for index in part.train])
        if spec != whole:
            raise UserError(
                f"the clips on side train of fold {part.fold.number} (repeat {part.fold.repeat}) "
                f"have {spec}, and all clips have {whole}: make the clips that videos lack "
                "(`pipelines.extract` names those in quarantine), or try another folds.seed"
            )


def _check_choices(config: CrossValidateConfig) -> None:
    """Nothing can be chosen by a val side without videos."""
    choosing = {
        "candidates": bool(config.candidates),
        "loop.patience": config.loop.patience > 0,
        "loop.optim.schedule.name plateau": config.loop.optim.schedule.name == "plateau",
    }
    used = [name for name, is_used in choosing.items() if is_used]
    if used and not config.folds.val_share:
        raise UserError(
            f"folds.val_share is 0, which leaves no video for {used[0]} to go by: leave that out, "
            "or give a share such as 0.15"
        )


def _check_unseen(
    source: Source, parts: Sequence[Part], samples: Sequence[Sample], dataset: Dataset
) -> None:
    """Refuse weights that have learned from what a fold tests; of a file's nothing is known."""
    if source.run is None:
        return
    seen = seen_by(source.run, data=dataset.folder, splits=BEFORE["test"])
    for part in parts:
        for row in (samples[index].row for index in part.test):
            if seen.has(row["video_id"], row["group"]):
                raise UserError(
                    f"init_from: fold {part.fold.number} (repeat {part.fold.repeat}) tests "
                    f"{row['uri']!r}, whose video or source (group {row['group']!r}) run "
                    f"{source.run.run_id} has learned from: give a run of other videos"
                )


def _begin(
    source: Source, learner: NetworkLearner, samples: Sequence[Sample], *, seed: int
) -> Initial:
    """What the first training begins with; a UserError where any cannot begin with it."""
    candidates = learner.candidates or (Candidate(),)
    cards = [learner.card(samples, candidate) for candidate in candidates]
    first, *_ = [source.begin(card, seed=seed) for card in cards]
    return first


def _earlier(config: CrossValidateConfig, prepared: Prepared, workspace: Path) -> str | None:
    """The id of the run to go on with: the one that is asked for, or one that was cut off."""
    if config.resume is not None:
        run = runlog.resolve_run(config.resume, workspace=workspace)
        if run.tags.get("cross_validation_key") != prepared.key:
            raise UserError(
                f"resume: run {run.run_id!r} was not a cross-validation with these settings on "
                "these clips: give those that it began with, or start a new run"
            )
        return run.run_id
    tags = {"job": JOB, "cross_validation_key": prepared.key}
    data = prepared.dataset.folder
    found = runlog.find_run(data=data, workspace=workspace, tags=tags, finished=False)
    return found.run_id if found else None


@contextmanager
def _alone(workspace: Path, run_id: str | None) -> Iterator[None]:
    """Two drivers of one run would train each fold twice. run_id: None where there is none yet."""
    if run_id is None:
        yield
        return
    with ExitStack() as hold:
        try:
            hold.enter_context(held(workspace / "runs" / run_id, wait=False))
        except BlockingIOError:
            raise UserError(f"run {run_id} does just this at the moment: wait for it") from None
        yield


def _checkpoints(config: CrossValidateConfig, workspace: Path) -> Anywhere:
    return cli.absolute(config.checkpoints) if config.checkpoints else workspace / "runs"


def _tags(config: CrossValidateConfig, prepared: Prepared) -> dict[str, Any]:
    learner = prepared.learner
    vectors = learner.vectors if isinstance(learner, ClassicalLearner) else None
    return {
        **common_tags(prepared, key=prepared.key, folds_by=config.folds.by, model=config.model),
        **({} if vectors is None else {"table_version.features": vectors.version}),
        **({} if prepared.initial is None else prepared.initial.source.tags),
    }


def _learn(
    config: CrossValidateConfig,
    prepared: Prepared,
    run: runlog.Run,
    folder: Anywhere,
    workspace: Path,
) -> list[Told]:
    """What was told of each part; each is logged as it comes."""
    parts, done = prepared.parts, dict[int, Told]()
    for number, part in enumerate(parts):
        if (before := stored.read(folder / part.name)) is not None:
            done[number] = before
            _log_fold(prepared, part, before, run, workspace)
    if done:
        say(SAID, f"{config.model}: {len(done)} of {len(parts)} folds are done already")
    left = [number for number in range(len(parts)) if number not in done]
    work = [
        Work(
            train=parts[number].train,
            val=parts[number].val,
            test=parts[number].test,
            seed=parts[number].seed,
            folder=folder / parts[number].name,
        )
        for number in left
    ]
    if not work:
        return [done[number] for number in range(len(parts))]
    with session.cluster(inline=config.inline):
        for position, told in runtime.learn_all(
            work,
            folder=folder,
            learner=prepared.learner,
            samples=prepared.samples,
            workers=config.workers,
            parts=len(parts),
            cores_here=cli.cores_here(),
            say=lambda text: say(SAID, f"{config.model}: {text}"),
        ):
            part = parts[left[position]]
            done[left[position]] = told
            _log_fold(prepared, part, told, run, workspace)
            _say_fold(config, prepared, part, told, done=f"{len(done)}/{len(parts)}")
    return [done[number] for number in range(len(parts))]


def _log_fold(
    prepared: Prepared, part: Part, told: Told, parent: runlog.Run, workspace: Path
) -> None:
    """A child run with the course of the training and what it measures; once."""
    data = prepared.dataset.folder
    tags = {"job": FOLD, "cross_validated_run": parent.run_id, "part": part.name}
    if runlog.find_run(data=data, workspace=workspace, tags=tags):
        return
    cut_off = runlog.find_run(data=data, workspace=workspace, tags=tags, finished=False)
    with runlog.job_run(
        FOLD,
        data=data,
        workspace=workspace,
        config={"seed": part.seed, "repeat": part.fold.repeat, "fold": part.fold.number}
        | {"chosen": told.settings},
        name=f"{parent.tags['model']} {part.said}",
        parent=parent.run_id,
        resume=cut_off.run_id if cut_off else None,
    ) as run:
        run.set_tags(tags | {"mlflow.source.name": f"pipelines.{JOB}"})
        for epoch, metrics in enumerate(told.history):
            run.log_metrics(metrics, step=epoch)
        run.log_metrics({f"test/{name}": value for name, value in of_fold(prepared, told).items()})


def _say_plan(
    config: CrossValidateConfig, prepared: Prepared, run: runlog.Run, *, is_resumed: bool
) -> None:
    folds, part = prepared.folds, prepared.parts[0]
    videos = sum(len(fold.test) for fold in folds) // config.folds.repeats
    groups = {v.group for v in prepared.videos if v.group is not None}
    candidates = f", {len(config.candidates)} candidates each" if config.candidates else ""
    say(
        SAID,
        f"{config.model}: {config.folds.count} folds by {config.folds.by} of {videos} videos, "
        f"{config.folds.repeats} repeat(s), {len(config.seed_numbers)} seed(s): "
        f"{len(prepared.parts)} trainings{candidates}, of about {len(part.train)} clips to train, "
        f"{len(part.val)} to validate and {len(part.test)} to test; "
        f"{'goes on with ' if is_resumed else ''}run {run.run_id}",
    )
    if prepared.initial is not None:
        say(SAID, f"{config.model}: each fold {prepared.initial.said}")
    torn = {group for fold in folds for group in torn_groups(prepared.videos, fold)}
    if not groups:
        shared = "no group is known: whether two videos are of one source, nothing tells"
    elif torn:
        shared = (
            f"{len(torn)} of {len(groups)} groups are on both sides of a fold, learned from and "
            "tested: this measures known sources, not new ones (folds.by group does)"
        )
    else:
        shared = f"none of the {len(groups)} groups is on two sides of a fold"
    say(SAID, f"{config.model}: {shared}")


def _say_fold(
    config: CrossValidateConfig, prepared: Prepared, part: Part, told: Told, *, done: str
) -> None:
    metrics = prepared.task.metrics
    value = metrics.summarise(told.scores, told.spec)[metrics.MONITOR]
    say(
        SAID,
        f"{config.model}: {part.said}: {metrics.MONITOR} {value:.3f}, learned in "
        f"{told.learn_s:.1f} s, answered in {told.answer_s:.1f} s ({done})",
    )


if __name__ == "__main__":
    cli.main(cross_validate, CrossValidateConfig)
