"""Measure a trained model on a split of a dataset: every clip once, with intervals by source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

from matplotlib.figure import Figure

from pipelines import cli
from pipelines.measuring import measure, put_together
from videoproc import runlog, schema
from videoproc.corpus import manifest
from videoproc.corpus.splits import check_no_leak
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card
from videoproc.learning.evaluate import score
from videoproc.learning.samples import Sample, find_samples, used_clips, videos_and_groups
from videoproc.learning.world import World
from videoproc.report.curves import learning_curves
from videoproc.report.progress import say
from videoproc.tables import Dataset
from videoproc.tasks import Task, select_task
from videoproc.types import UserError, Video

EVALUATION_VERSION = 2  # raised when an evaluation logs other things or numbers than before
CONTEXTS = {"train": "training", "val": "validation", "test": "test"}


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What evaluate does.

    Args:
        data: the dataset folder.
        run: the id of the training run whose best model is measured, or its beginning.
        split: the videos to measure on: train, val or test.
        batch_size: clips that the model takes at once.
    """

    data: str
    run: str
    split: str = "test"
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.split not in ("train", "val", "test"):
            raise ValueError(f"split is {self.split!r}: use train, val or test")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}: use 1 or more")


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Measure a trained model on a split: every clip once, with intervals by source."""
    dataset, workspace = Dataset(folder=cli.absolute(config.data)), cli.workspace()
    trained = runlog.resolve_run(config.run, workspace=workspace)
    config = replace(config, run=trained.run_id)
    world = World.current()
    model, card = checkpoint.load(trained.checkpoint_folder(workspace), device=world.device)
    task = select_task(card.task)
    videos = manifest.from_table(dataset.require_manifest())
    check_no_leak(videos)
    samples = _samples(dataset, videos, config.split, card, task)
    _check_unseen(trained, dataset, samples, config.split)
    scores, losses = score(
        model, samples, task=task, spec=card.spec, batch_size=config.batch_size, world=world
    )
    scored = put_together(samples, videos, scores, losses, task=card.task, spec=card.spec)
    measured = measure(scored, task)
    baselines = _baselines(task, videos, config.split)
    metrics = measured.metrics | baselines
    curves = _learning_curves(trained, task)
    with runlog.job_run(
        "evaluate",
        data=dataset.folder,
        workspace=workspace,
        config=asdict(config) | {"model": card.model, "task": card.task},
        name=f"{card.model} {config.split}",
        parent=config.run,
    ) as run:
        run.set_tags(
            {
                "evaluated_run": config.run,
                "split": config.split,
                "manifest_digest": manifest.digest(videos),
                "table_version.clips": dataset.clips.version,
            }
        )
        run.log_json({config.split: videos_and_groups(samples)}, runlog.MEASURED_ON)
        used = used_clips(dataset, samples, context=CONTEXTS[config.split])
        named = {f"{config.split}/{name}": value for name, value in metrics.items()}
        # On the trained run too, so that runs compare by them; another dataset's stay apart.
        same_data = trained.tags.get("data") == str(dataset.folder)
        for target in (run, trained) if same_data else (run,):
            target.log_metrics(named)
            target.log_dataset(**used)
            measured.log_files(target, config.split)
            target.log_figure(curves, "learning_curves.png")
        if same_data:
            trained.set_tags({_key_tag(config.split): samples_key(samples)})
    _say_headline(metrics, baselines, task, card, config.split)
    return named


def is_measured(config: EvaluateConfig) -> bool:
    """Whether the run holds the metrics of just these clips under just these labels."""
    dataset, workspace = Dataset(folder=cli.absolute(config.data)), cli.workspace()
    trained = runlog.open_run(config.run, workspace=workspace)
    card = checkpoint.read_card(trained.checkpoint_folder(workspace))
    videos = manifest.from_table(dataset.require_manifest())
    samples = _samples(dataset, videos, config.split, card, select_task(card.task))
    return trained.tags.get(_key_tag(config.split)) == samples_key(samples)


def samples_key(samples: Sequence[Sample]) -> str:
    """An id of what is measured on: clips, labels and sources."""
    rows = [[sample.row[n] for n in ("clip_id", "label", "group")] for sample in samples]
    return schema.content_id(rows, EVALUATION_VERSION)


def _key_tag(split: str) -> str:
    return f"measured.{split}"


def _samples(
    dataset: Dataset, videos: Sequence[Video], split: str, card: Card, task: Task
) -> list[Sample]:
    samples = find_samples(
        dataset,
        recipe=card.make_recipe(),
        videos=[video for video in videos if video.split == split],
        all_views=False,
    )
    usable = [sample for sample in samples if task.targets.is_usable(sample.row)]
    if not usable:
        raise UserError(
            f"dataset {dataset.folder} has no clip in split {split!r} as this model takes them: "
            "run `pipelines.extract` with the sampling and size of its training"
        )
    return usable


def _check_unseen(
    trained: runlog.Run, dataset: Dataset, samples: Sequence[Sample], split: str
) -> None:
    """Refuse to measure on what the model has learned from, under whatever split it stands now."""
    learned_from = trained.read_json(runlog.LEARNED_FROM)
    seen_in = {"train": [], "val": ["train"], "test": ["train", "val"]}[split]
    videos = {video for name in seen_in for video in learned_from[name]["videos"]}
    groups = {group for name in seen_in for group in learned_from[name]["groups"]}
    if trained.tags.get("data") != str(dataset.folder):
        groups = set()  # another dataset's groups only share their names
    for sample in samples:
        if sample.row["video_id"] in videos or sample.row["group"] in groups:
            raise UserError(
                f"split {split!r} of {dataset.folder} holds {sample.row['uri']!r}, whose video or "
                f"source (group {sample.row['group']!r}) run {trained.run_id} has learned from: "
                "the splits have changed since; train again, or index with the splits of then"
            )


def _baselines(task: Task, videos: Sequence[Video], split: str) -> dict[str, float]:
    """What must be beaten on the same videos; on the training split that means nothing."""
    if not task.baselines or split == "train":
        return {}
    readable = [video for video in videos if video.error is None]
    return task.baselines.baselines(
        [video for video in readable if video.split == "train"],
        [video for video in readable if video.split == split],
    )


def _say_headline(
    metrics: dict[str, float], baselines: dict[str, float], task: Task, card: Card, split: str
) -> None:
    name = task.metrics.MONITOR
    between = (
        f"95 % interval by source {metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f}"
        if f"{name}_low" in metrics
        else "one source only, so no interval"
    )
    clips, videos = (f"{metrics[unit]:.0f} {unit}" for unit in ("clips", "videos"))
    by_video = (
        f"; {metrics[f'video_{name}']:.3f} by video, of {videos}"
        if f"video_{name}" in metrics and metrics["videos"] < metrics["clips"]
        else ""
    )
    beside = "".join(f"; {split}/{other} {value:.3f}" for other, value in baselines.items())
    say(
        "evaluate",
        f"{card.model}: {split}/{name} {metrics[name]:.3f} ({between}), {clips}{by_video}{beside}",
    )


def _learning_curves(trained: runlog.Run, task: Task) -> Figure:
    monitor = task.metrics.MONITOR
    return learning_curves(
        {
            "loss": {"train": trained.history("train/loss"), "val": trained.history("val/loss")},
            monitor: {"val": trained.history(f"val/{monitor}")},
            "learning rate": {"train": trained.history("learning_rate")},
        }
    )


if __name__ == "__main__":
    cli.main(evaluate, EvaluateConfig)
