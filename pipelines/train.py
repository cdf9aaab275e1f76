"""Train a model on a dataset's clips, on one worker or many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipelines import cli
from pipelines.index import label_rule
from pipelines.initial import Initial, find_source
from pipelines.learned_from import LearnedFrom, seen_before, with_parents
from videoproc import runlog, schema, storage
from videoproc.corpus import manifest
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card
from videoproc.learning.config import LEARNING_VERSION, InitConfig, LoopConfig
from videoproc.learning.network import make_card
from videoproc.learning.objective import check_loss
from videoproc.learning.optim import make_optimiser
from videoproc.learning.samples import Sample, split_samples, used_clips, videos_and_groups
from videoproc.media import Sampling, Size
from videoproc.models import build_model, model_config
from videoproc.report.progress import say
from videoproc.runtime import metrics as counters
from videoproc.runtime import session, trainer
from videoproc.runtime.placement import Placement
from videoproc.runtime.trainer import Assignment
from videoproc.runtime.workers import WorkerConfig
from videoproc.storage import Anywhere
from videoproc.tables import Dataset, Recipe
from videoproc.tasks import Task, select_task
from videoproc.types import UserError, Video


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """What train does.

    Args:
        data: the dataset folder.
        model: the architecture, by name.
        task: what is learned, by name.
        model_settings: settings of the architecture that differ from its defaults.
        loop: how the model is trained.
        workers: processes that train together, each on its part of every batch.
        min_workers: go on with as few as this while there is no room for all, as after the loss of
            a node; by default training waits for room. The number changes rounding, and dropout.
        cpus_per_worker: cores for each worker; by default those of the nodes are shared out.
        gpu: auto (one GPU a worker where the nodes have enough), true or false.
        max_failures: times that lost workers are restarted from the last checkpoint; those whose
            node was taken away with notice are not counted.
        placement: which nodes the workers stand on, and what else each takes there.
        resume: the id of a run to go on with; its other settings must be the same.
        checkpoints: the folder of checkpoints, here or in an object store (s3://), one folder a
            run; every worker must reach it. By default WORKSPACE/runs.
        init_from: begin with the weights of a training run, by its id or the beginning of it, or
            of a safetensors file; by default weights are random.
        init: how those weights find their place in the model.
    """

    data: str
    model: str
    task: str = "classification"
    model_settings: dict[str, Any] = field(default_factory=dict)
    loop: LoopConfig = field(default_factory=LoopConfig)
    workers: int = 1
    min_workers: int | None = None
    cpus_per_worker: int | None = None
    gpu: str = "auto"
    max_failures: int = 2
    placement: Placement = field(default_factory=Placement)
    resume: str | None = None
    checkpoints: str | None = None
    init_from: str | None = None
    init: InitConfig = field(default_factory=InitConfig)

    def __post_init__(self) -> None:
        _ = self.worker_config
        self.init.check_used(self.init_from)

    @property
    def worker_config(self) -> WorkerConfig:
        return WorkerConfig(
            workers=self.workers,
            min_workers=self.min_workers,
            cpus_per_worker=self.cpus_per_worker,
            gpu=self.gpu,
            max_failures=self.max_failures,
            placement=self.placement,
        )


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a config comes to on its dataset: everything that training needs, nothing started."""

    dataset: Dataset
    videos: Sequence[Video]
    task: Task
    card: Card
    recipe: Recipe
    train: Sequence[Sample]
    val: Sequence[Sample]
    training_key: str
    initial: Initial | None = None


def train(config: TrainConfig) -> str:
    """Train a model on a dataset's clips, on one worker or many."""
    prepared = prepare(config)
    workspace = cli.workspace()
    if config.resume is not None:
        _check_same(runlog.open_run(config.resume, workspace=workspace), prepared)
    params = asdict(config) | {
        "model_settings": prepared.card.model_settings,
        "recipe": asdict(prepared.recipe),
    }
    with runlog.job_run(
        "train",
        data=prepared.dataset.folder,
        workspace=workspace,
        config=params,
        name=config.model,
        resume=config.resume,
    ) as run:
        run.set_tags(_tags(prepared))
        learned_from = _learned_from(prepared)
        run.log_json(learned_from, runlog.LEARNED_FROM)
        for samples, context in ((prepared.train, "training"), (prepared.val, "validation")):
            run.log_dataset(**used_clips(prepared.dataset, samples, context=context))
        say(
            "train",
            f"{config.model}: {len(prepared.train)} clips to train, {len(prepared.val)} to "
            f"validate, {config.workers} worker(s), run {run.run_id}",
        )
        folder = _checkpoints(config, workspace) / run.run_id
        if prepared.initial is not None:
            say("train", f"{config.model}: {prepared.initial.said}")
            data = prepared.dataset.folder
            for split, count in seen_before(learned_from, prepared.videos, data=data).items():
                say(
                    "train",
                    f"{config.model}: {count} videos of split {split!r} are among what these "
                    "weights have learned from: `evaluate` will refuse them",
                )
            checkpoint.save_initial(folder, prepared.initial.weights)
        if not checkpoint.last_position(folder).finished:
            _fit(config, prepared, run, folder, workspace)
        _log_missed(run, folder)
        best = checkpoint.best(folder)
        with storage.local_folder(best) as files:
            run.log_folder(files, "checkpoint")
        _log_model(run, best, prepared.task)
        say("train", f"{config.model}: done, best checkpoint {best}")
    return run.run_id


def prepare(config: TrainConfig) -> Prepared:
    """Check a config against its dataset; a UserError before anything has started."""
    dataset = Dataset(folder=cli.absolute(config.data))
    videos = manifest.from_table(dataset.require_manifest())
    recipe = dataset.recipe
    task, settings, frame_shape = check_on_dataset(config, dataset)
    train_samples, val_samples = (
        split_samples(
            dataset, split, recipe=recipe, videos=videos, is_usable=task.targets.is_usable
        )
        for split in ("train", "val")
    )
    card = make_card(
        train_samples,
        task=config.task,
        model=config.model,
        model_settings=settings,
        frame_shape=frame_shape,
        recipe=recipe.to_json(),
        segments=config.loop.segments,
    )
    initial = None
    if config.init_from is not None:
        initial = find_source(config.init_from, config.init).begin(card, seed=config.loop.seed)
    key = schema.content_id(
        card.identity,
        _decisive(config),
        [[sample.row["clip_id"], sample.row["label"]] for sample in train_samples],
        [[sample.row["clip_id"], sample.row["label"]] for sample in val_samples],
        LEARNING_VERSION,
        *([] if initial is None else [initial.source.first.key]),
    )
    return Prepared(
        dataset=dataset,
        videos=videos,
        task=task,
        card=card,
        recipe=recipe,
        train=train_samples,
        val=val_samples,
        training_key=key,
        initial=initial,
    )


def check_on_dataset(
    config: TrainConfig, dataset: Dataset
) -> tuple[Task, dict[str, Any], tuple[int, int, int, int]]:
    """As `check_settings`, for the clips of a dataset as they were last made."""
    recipe = dataset.recipe
    found = check_settings(config, sampling=recipe.sampling, size=recipe.size)
    # Neither stored views nor the training step may do what changes labels.
    used = [*recipe.augmentation.used, *config.loop.augmentation.used]
    label_rule(dataset).check(used, dataset=dataset.folder)
    return found


def check_settings(
    config: TrainConfig, *, sampling: Sampling, size: Size
) -> tuple[Task, dict[str, Any], tuple[int, int, int, int]]:
    """What a config comes to for any dataset of such clips: the task, the model's settings, and
    the clips' (T, H, W, C). A UserError where that cannot be trained."""
    task = select_task(config.task)
    model_settings = model_config(config.model, config.model_settings)
    num_frames = sampling.frames_per_clip
    if num_frames is None:
        raise UserError(
            f"sampling.pick is {sampling.pick!r}, which makes clips that differ in length: use "
            "even, random, stride or times to train on them"
        )
    segments = config.loop.segments.count
    if segments:
        _check_segments(config, sampling, task, num_frames=num_frames)
    in_step = config.loop.augmentation.used
    if in_step and not task.whole_clip:
        raise UserError(
            f"loop.augmentation uses {in_step[0]!r}, and task {config.task!r} has targets that do "
            "not follow its frames there: leave it out, and augment in `pipelines.extract`"
        )
    frame_shape = (num_frames, size.height, size.width, 3)
    check_loss(task, config.loop.loss)
    # A network that cannot be is found here, before Ray starts; any number of outputs will do.
    taken = (segments or num_frames, *frame_shape[1:])
    model = build_model(config.model, model_settings, num_outputs=2, frame_shape=taken)
    make_optimiser(model, config.loop.optim)
    return task, asdict(model_settings), frame_shape


def _check_segments(
    config: TrainConfig, sampling: Sampling, task: Task, *, num_frames: int
) -> None:
    """A UserError where a network cannot take some frames of such clips."""
    count, answers = config.loop.segments.count, config.loop.segments.answers
    if count >= num_frames:
        raise UserError(
            f"loop.segments.count is {count} and clips have {num_frames} frames, which leaves "
            "nothing to choose: use fewer, 0 for all of them, or extract clips of more"
        )
    if answers > num_frames // count:
        raise UserError(
            f"loop.segments.answers is {answers} and each of {count} segments of {num_frames} "
            f"frames has {num_frames // count} to choose from: use that many or fewer"
        )
    if sampling.burst_frames > 1:
        raise UserError(
            f"loop.segments.count is {count} and sampling.burst_frames is {sampling.burst_frames}: "
            "frames of a burst stay together, use one of the two"
        )
    if not task.whole_clip:
        raise UserError(
            f"loop.segments.count is {count}, and task {config.task!r} has targets that do not "
            "follow the frames that are chosen: leave it out"
        )


def _decisive(config: TrainConfig) -> dict[str, Any]:
    """The config without what changes no weight, or stands in the card or the initial weights
    already.

    Settings that are younger than the first keys are left out, whole or where they are at their
    default, so that those stay what they were.
    """
    bare = replace(
        config,
        data="",
        model_settings={},
        loop=replace(config.loop, checkpoint_every_steps=0),
        cpus_per_worker=None,
        max_failures=0,
        resume=None,
        checkpoints=None,
    )
    younger = ("min_workers", "placement", "init_from", "init")
    values = asdict(bare) | {"loop": bare.loop.identity}
    return {name: value for name, value in values.items() if name not in younger}


def _check_same(run: runlog.Run, prepared: Prepared) -> None:
    """A run goes on only as it began: other settings or clips would make it neither one run."""
    if run.tags.get("training_key") != prepared.training_key:
        raise UserError(
            f"resume: run {run.run_id!r} was not a training with these settings on these clips: "
            "give the settings and the dataset that it began with, or start a new run"
        )


def _checkpoints(config: TrainConfig, workspace: Path) -> Anywhere:
    return cli.absolute(config.checkpoints) if config.checkpoints else workspace / "runs"


def _log_missed(run: runlog.Run, folder: Anywhere) -> None:
    """Metrics that a killed driver had not taken when its workers wrote the checkpoint."""
    known = {step for step, _ in run.history("train/loss")}
    for epoch, metrics in enumerate(checkpoint.last_position(folder).history):
        if epoch not in known:
            run.log_metrics(metrics, step=epoch)


def _learned_from(prepared: Prepared) -> LearnedFrom:
    """What each split held, so that no evaluation ever measures on it."""
    own = {"train": videos_and_groups(prepared.train), "val": videos_and_groups(prepared.val)}
    parent = None if prepared.initial is None else prepared.initial.source.run
    return with_parents(own, parent, data=prepared.dataset.folder)


def _tags(prepared: Prepared) -> dict[str, Any]:
    return {
        "training_key": prepared.training_key,
        "task": prepared.card.task,
        "model": prepared.card.model,
        "manifest_digest": manifest.digest(prepared.videos),
        "table_version.clips": prepared.dataset.clips.version,
        "table_version.manifest": prepared.dataset.manifest.version,
        "clips.train": len(prepared.train),
        "clips.val": len(prepared.val),
        **({} if prepared.initial is None else prepared.initial.source.tags),
    }


def _fit(
    config: TrainConfig, prepared: Prepared, run: runlog.Run, folder: Anywhere, workspace: Path
) -> None:
    monitor = prepared.task.metrics.MONITOR

    def on_report(metrics: dict[str, float], epoch: int) -> None:
        run.log_metrics(metrics, step=epoch)
        counters.epoch_done(metrics, model=config.model, epoch=epoch)
        say(
            "train",
            f"{config.model}: epoch {epoch + 1}/{config.loop.epochs}, "
            f"train loss {metrics['train/loss']:.4f}, val loss {metrics['val/loss']:.4f}, "
            f"val {monitor} {metrics[f'val/{monitor}']:.3f}, "
            f"{metrics['train/clips_per_second']:.0f} clips/s",
        )

    assignment = Assignment(
        loop=config.loop, card=prepared.card, train=prepared.train, val=prepared.val, folder=folder
    )
    with session.cluster():
        try:
            trainer.fit(
                assignment,
                workers=config.worker_config,
                scratch=workspace / "ray_train",
                on_report=on_report,
                say=lambda text: say("train", f"{config.model}: {text}"),
            )
        except trainer.WorkersLostError as error:
            raise cli.JobError(f"{error}: --resume {run.run_id}") from None


def _log_model(run: runlog.Run, best: Anywhere, task: Task) -> None:
    model, card = checkpoint.load(best, device=torch.device("cpu"))
    # Two clips: an example of one would fix the exported batch at one.
    example = np.random.default_rng(0).integers(0, 256, (2, *card.frame_shape), np.uint8)
    run.log_model(task.outputs.export(model), example=example)


if __name__ == "__main__":
    cli.main(train, TrainConfig)
