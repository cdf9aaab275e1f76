"""Measure a trained model on a split of a dataset: every clip once, with intervals by source."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from pipelines import cli
from videoproc import runlog, schema
from videoproc.corpus import manifest
from videoproc.corpus.splits import check_no_leak
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card
from videoproc.learning.evaluate import interval, members, score
from videoproc.learning.samples import Sample, find_samples, used_clips, videos_and_groups
from videoproc.learning.scored import ABOUT, Scored, select, to_table
from videoproc.learning.world import World
from videoproc.report.breakdown import breakdown
from videoproc.report.curves import learning_curves
from videoproc.report.progress import say
from videoproc.tables import Dataset
from videoproc.tasks import Scores, Task, select_task
from videoproc.types import Row, UserError, Video

EVALUATION_VERSION = 2  # raised when an evaluation logs other things or numbers than before
SCORES = "scores.parquet"
CONTEXTS = {"train": "training", "val": "validation", "test": "test"}
WORST = 12  # mistakes that are kept by name


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
    scored = _scored(samples, videos, scores, losses, card)
    baselines = _baselines(task, videos, config.split)
    metrics = _metrics(scored, task) | baselines
    artifacts = _artifacts(scored, task, trained)
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
            _log(target, artifacts, config.split)
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


def _scored(
    samples: Sequence[Sample],
    videos: Sequence[Video],
    scores: Scores,
    losses: np.ndarray,
    card: Card,
) -> Scored:
    resolution = {video.video_id: f"{video.width}x{video.height}" for video in videos}
    rows = [sample.row | {"resolution": resolution[sample.row["video_id"]]} for sample in samples]
    return Scored(
        task=card.task,
        spec=card.spec,
        about=[{name: row[name] for name in ABOUT.names} for row in rows],
        scores=scores,
        losses=losses,
    )


def _metrics(scored: Scored, task: Task) -> dict[str, float]:
    """What the task measures, of clips and where it can of videos, with intervals by source."""
    video_b = _video_b(scored)
    measured = task.metrics.summarise(scored.scores, scored.spec) | {
        "loss": float(scored.losses.mean()),
        "clips": len(scored.about),
        "videos": int(video_b.max()) + 1,
    }
    measured |= _bounds(scored.scores, scored.sources, scored.spec, task)
    if task.measures:
        measured |= task.measures.measures(scored.scores, scored.spec)
    if task.videos:
        of_videos = task.videos.of_videos(scored.scores, video_b)
        source_of = dict(zip(video_b, scored.sources, strict=True))
        sources = [source_of[video] for video in range(len(source_of))]
        monitor = task.metrics.MONITOR
        found = {monitor: task.metrics.summarise(of_videos, scored.spec)[monitor]}
        found |= _bounds(of_videos, sources, scored.spec, task)
        measured |= {f"video_{name}": value for name, value in found.items()}
    return measured


def _video_b(scored: Scored) -> np.ndarray:
    """The number of each clip's video, 0 to V - 1."""
    return np.unique([row["video_id"] for row in scored.about], return_inverse=True)[1]


def _bounds(scores: Scores, sources: Sequence[str], spec: Any, task: Task) -> dict[str, float]:
    """The interval of the monitored metric; empty where one source alone allows none."""
    monitor = task.metrics.MONITOR
    between = interval(
        lambda indices: task.metrics.summarise(select(scores, indices), spec)[monitor],
        groups=sources,
    )
    return {f"{monitor}_low": between[0], f"{monitor}_high": between[1]} if between else {}


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


@dataclass(frozen=True, kw_only=True)
class _Artifacts:
    """By file name, below the split; `curves` are the training's own."""

    curves: Figure
    table: pa.Table
    figures: dict[str, Figure] = field(default_factory=dict)
    numbers: dict[str, Any] = field(default_factory=dict)


def _artifacts(scored: Scored, task: Task, trained: runlog.Run) -> _Artifacts:
    """Pictures, the numbers behind them, and what was told of each clip."""
    monitor = task.metrics.MONITOR
    panels = {
        "loss": {"train": trained.history("train/loss"), "val": trained.history("val/loss")},
        monitor: {"val": trained.history(f"val/{monitor}")},
        "learning rate": {"train": trained.history("learning_rate")},
    }
    found = _Artifacts(curves=learning_curves(panels), table=to_table(scored))
    if task.plots:
        found.figures.update(task.plots.plots(scored.scores, scored.spec))
        found.numbers.update(task.plots.tables(scored.scores, scored.spec))
    overall = task.metrics.summarise(scored.scores, scored.spec)[monitor]
    resolutions = [row["resolution"] for row in scored.about]
    for by, names in (("source", scored.sources), ("resolution", resolutions)):
        parts = _parts(scored, task, by=by, names=names)
        found.figures[f"by_{by}.png"] = breakdown(
            parts, by=by, value=monitor, overall=overall, maximise=task.metrics.MAXIMISE
        )
        found.numbers[f"by_{by}.json"] = parts
    if task.mistakes:
        found.numbers["mistakes.json"] = [
            {name: scored.about[mistake.index][name] for name in ("clip_id", "video_id", "uri")}
            | {"true": mistake.true, "told": mistake.told, "confidence": mistake.confidence}
            for mistake in task.mistakes.worst(scored.scores, scored.spec, WORST)
        ]
    return found


def _parts(scored: Scored, task: Task, *, by: str, names: Sequence[str]) -> list[Row]:
    """One row a part: the monitored metric, clips, videos, and how many labels there are."""
    monitor, rows = task.metrics.MONITOR, []
    for name, indices in members(names).items():
        about = [scored.about[index] for index in indices]
        summary = task.metrics.summarise(select(scored.scores, indices), scored.spec)
        rows.append(
            {
                by: name,
                monitor: summary[monitor],
                "clips": len(about),
                "videos": len({row["video_id"] for row in about}),
                "labels": len({row["label"] for row in about}),
            }
        )
    return rows


def _log(target: runlog.Run, artifacts: _Artifacts, split: str) -> None:
    for name, figure in artifacts.figures.items():
        target.log_figure(figure, f"{split}/{name}")
    for name, numbers in artifacts.numbers.items():
        target.log_json(numbers, f"{split}/{name}")
    target.log_table(artifacts.table, f"{split}/{SCORES}")
    target.log_figure(artifacts.curves, "learning_curves.png")


if __name__ == "__main__":
    cli.main(evaluate, EvaluateConfig)
