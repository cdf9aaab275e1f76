"""Measure a trained model on a split of a dataset: every clip once, with intervals by source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pipelines import cli
from videoproc import runlog, schema
from videoproc.corpus import manifest
from videoproc.corpus.splits import check_no_leak
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card
from videoproc.learning.evaluate import interval, score
from videoproc.learning.samples import Sample, find_samples
from videoproc.learning.world import World
from videoproc.report.curves import learning_curves
from videoproc.report.progress import say
from videoproc.tables import Dataset
from videoproc.tasks import Scores, Task, select_task
from videoproc.types import UserError, Video


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """What evaluate does.

    Args:
        data: the dataset folder.
        run: the id of the training run whose best model is measured.
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
    trained = runlog.open_run(config.run, workspace=workspace)
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
    baselines = _baselines(task, videos, config.split)
    metrics = _metrics(scores, losses, samples, task, card, config.split) | baselines
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
                "manifest_digest": manifest.digest(videos),
                "table_version.clips": dataset.clips.version,
            }
        )
        run.log_metrics(metrics)
        targets = [run]
        if trained.tags.get("data") == str(dataset.folder):
            # On the trained run too, so that runs compare by them; another dataset's stay apart.
            trained.log_metrics(metrics)
            trained.set_tags({_key_tag(config.split): samples_key(samples)})
            targets.append(trained)
        for target in targets:
            _log_pictures(target, trained, scores, task, card, config.split)
    _say_headline(metrics, baselines, task, card, config.split)
    return metrics


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
    return schema.content_id([[s.row[n] for n in ("clip_id", "label", "group")] for s in samples])


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


def _metrics(
    scores: Scores,
    losses: np.ndarray,
    samples: Sequence[Sample],
    task: Task,
    card: Card,
    split: str,
) -> dict[str, float]:
    monitor = task.metrics.MONITOR

    def headline(indices: np.ndarray) -> float:
        chosen = {name: values[indices] for name, values in scores.items()}
        return task.metrics.summarise(chosen, card.spec)[monitor]

    # Clips of one video are one source, also where nothing is known of the video's own.
    sources = [sample.row["group"] or f"video {sample.row['video_id']}" for sample in samples]
    between = interval(headline, groups=sources)
    metrics = task.metrics.summarise(scores, card.spec) | {
        "loss": float(losses.mean()),
        "clips": len(samples),
    }
    if between is not None:
        metrics |= {f"{monitor}_low": between[0], f"{monitor}_high": between[1]}
    return {f"{split}/{name}": value for name, value in metrics.items()}


def _baselines(task: Task, videos: Sequence[Video], split: str) -> dict[str, float]:
    """What must be beaten on the same videos; on the training split that means nothing."""
    if not task.baselines or split == "train":
        return {}
    readable = [video for video in videos if video.error is None]
    found = task.baselines.baselines(
        [video for video in readable if video.split == "train"],
        [video for video in readable if video.split == split],
    )
    return {f"{split}/{name}": value for name, value in found.items()}


def _say_headline(
    metrics: dict[str, float], baselines: dict[str, float], task: Task, card: Card, split: str
) -> None:
    name = f"{split}/{task.metrics.MONITOR}"
    between = (
        f"95 % interval by source {metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f}"
        if f"{name}_low" in metrics
        else "one source only, so no interval"
    )
    beside = "".join(f"; {other} {value:.3f}" for other, value in baselines.items())
    clips = f"{metrics[f'{split}/clips']:.0f} clips"
    say("evaluate", f"{card.model}: {name} {metrics[name]:.3f} ({between}), {clips}{beside}")


def _log_pictures(
    target: runlog.Run,
    trained: runlog.Run,
    scores: Scores,
    task: Task,
    card: Card,
    split: str,
) -> None:
    if task.plots:
        for name, figure in task.plots.plots(scores, card.spec).items():
            target.log_figure(figure, f"{split}/{name}")
        for name, numbers in task.plots.tables(scores, card.spec).items():
            target.log_json(numbers, f"{split}/{name}")
    panels = {
        "loss": {"train": trained.history("train/loss"), "val": trained.history("val/loss")},
        task.metrics.MONITOR: {"val": trained.history(f"val/{task.metrics.MONITOR}")},
        "learning rate": {"train": trained.history("learning_rate")},
    }
    target.log_figure(learning_curves(panels), "learning_curves.png")


if __name__ == "__main__":
    cli.main(evaluate, EvaluateConfig)
