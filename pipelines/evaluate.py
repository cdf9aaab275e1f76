"""Measure a trained model on a split of a dataset: every clip once, with intervals by source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from pipelines import cli
from pipelines.learned_from import BEFORE, seen_by
from pipelines.measuring import (
    BEYOND_SOURCE,
    Measured,
    beside,
    measure,
    over_baselines,
    put_together,
    said_interval,
)
from videoproc import runlog, schema
from videoproc.corpus import manifest
from videoproc.corpus.splits import check_no_leak
from videoproc.learning.answering import load_answerer, read_taught
from videoproc.learning.baseline_learner import tell_all
from videoproc.learning.samples import Sample, find_samples, used_clips, videos_and_groups
from videoproc.learning.scored import Scored
from videoproc.learning.world import World
from videoproc.report.curves import learning_curves
from videoproc.report.progress import say
from videoproc.tables import Dataset, Recipe
from videoproc.tasks import Scores, Task, select_task
from videoproc.tasks.task import TemperatureModule
from videoproc.types import UserError, Video

EVALUATION_VERSION = 3  # raised when an evaluation logs other things or numbers than before
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
        if self.split not in CONTEXTS:
            raise ValueError(f"split is {self.split!r}: use train, val or test")
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}: use 1 or more")


def evaluate(config: EvaluateConfig) -> dict[str, float]:
    """Measure a trained model on a split: every clip once, with intervals by source."""
    dataset, workspace = Dataset(folder=cli.absolute(config.data)), cli.workspace()
    trained = runlog.resolve_run(config.run, workspace=workspace)
    config = replace(config, run=trained.run_id)
    world = World.current()
    folder = trained.checkpoint_folder(workspace)
    taught = read_taught(folder)
    task = select_task(taught.task)
    videos = manifest.from_table(dataset.require_manifest())
    check_no_leak(videos)
    clips = _clips(dataset, videos, taught.recipe, task)
    samples = _some(clips[config.split], dataset, config.split)
    _check_unseen(trained, dataset, samples, config.split)
    answerer = load_answerer(folder, dataset=dataset, world=world)
    answer = partial(answerer.answer, batch_size=config.batch_size, world=world)
    scores, losses = answer(samples)
    scored = put_together(samples, videos, scores, losses, task=taught.task, spec=taught.spec)
    temperature = _temperature(trained, dataset, clips["val"], answer, task, config.split)
    measured = measure(scored, task, temperature=temperature)
    baselines = _baselines(scored, samples, clips["train"], videos, config.split)
    metrics = measured.metrics | baselines
    curves = _learning_curves(trained, task)
    with runlog.job_run(
        "evaluate",
        data=dataset.folder,
        workspace=workspace,
        config=asdict(config) | {"model": taught.model, "task": taught.task},
        name=f"{taught.model} {config.split}",
        parent=config.run,
    ) as run:
        run.set_tags(
            {
                "evaluated_run": config.run,
                "split": config.split,
                "manifest_digest": manifest.digest(videos),
            }
            | {f"table_version.{name}": dataset.tables()[name].version for name in taught.tables}
        )
        run.log_json({config.split: videos_and_groups(samples)}, runlog.MEASURED_ON)
        measured_on = used_clips(dataset, samples, context=CONTEXTS[config.split])
        named = {f"{config.split}/{name}": value for name, value in metrics.items()}
        # On the trained run too, so that runs compare by them; another dataset's stay apart.
        same_data = trained.tags.get("data") == str(dataset.folder)
        for target in (run, trained) if same_data else (run,):
            target.log_metrics(named)
            target.log_dataset(**measured_on)
            measured.log_files(target, config.split)
            if curves is not None:
                target.log_figure(curves, "learning_curves.png")
        if same_data:
            trained.set_tags({_key_tag(config.split): samples_key(samples)})
    _say_headline(metrics, baselines, task, taught.model, config.split)
    _say_beyond(measured, taught.model)
    return named


def is_measured(config: EvaluateConfig) -> bool:
    """Whether the run holds the metrics of just these clips under just these labels."""
    dataset, workspace = Dataset(folder=cli.absolute(config.data)), cli.workspace()
    trained = runlog.open_run(config.run, workspace=workspace)
    taught = read_taught(trained.checkpoint_folder(workspace))
    videos = manifest.from_table(dataset.require_manifest())
    clips = _clips(dataset, videos, taught.recipe, select_task(taught.task))
    samples = _some(clips[config.split], dataset, config.split)
    return trained.tags.get(_key_tag(config.split)) == samples_key(samples)


def samples_key(samples: Sequence[Sample]) -> str:
    """An id of what is measured on: clips, labels and sources."""
    rows = [[sample.row[n] for n in ("clip_id", "label", "group")] for sample in samples]
    return schema.content_id(rows, EVALUATION_VERSION)


def _key_tag(split: str) -> str:
    return f"measured.{split}"


def _clips(
    dataset: Dataset, videos: Sequence[Video], recipe: Recipe, task: Task
) -> dict[str, list[Sample]]:
    """The clips of each split that can be measured."""
    split_of = {video.video_id: video.split for video in videos if video.split in CONTEXTS}
    found = find_samples(
        dataset,
        recipe=recipe,
        videos=[video for video in videos if video.video_id in split_of],
        all_views=False,
    )
    clips: dict[str, list[Sample]] = {split: [] for split in CONTEXTS}
    for sample in found:
        if task.targets.is_usable(sample.row):
            clips[str(split_of[sample.row["video_id"]])].append(sample)
    return clips


def _some(samples: list[Sample], dataset: Dataset, split: str) -> list[Sample]:
    if not samples:
        raise UserError(
            f"dataset {dataset.folder} has no clip in split {split!r} as this model takes them: "
            "run `pipelines.extract` with the sampling and size of its training"
        )
    return samples


def _check_unseen(
    trained: runlog.Run, dataset: Dataset, samples: Sequence[Sample], split: str
) -> None:
    """Refuse to measure on what the model has learned from, under whatever split it stands now."""
    seen = seen_by(trained, data=dataset.folder, splits=BEFORE[split])
    for sample in samples:
        if seen.has(sample.row["video_id"], sample.row["group"]):
            raise UserError(
                f"split {split!r} of {dataset.folder} holds {sample.row['uri']!r}, whose video or "
                f"source (group {sample.row['group']!r}) run {trained.run_id} has learned from: "
                "the splits have changed since; train again, or index with the splits of then"
            )


def _temperature(
    trained: runlog.Run,
    dataset: Dataset,
    val: Sequence[Sample],
    answer: Callable[[Sequence[Sample]], tuple[Scores, np.ndarray]],
    task: Task,
    split: str,
) -> float | None:
    """The temperature that the validation split gives; None, with a word why, where it cannot."""
    if task.temperature is None:
        return None
    found, why = None, "it is fitted on val itself"
    if split != "val":
        try:
            _check_unseen(trained, dataset, val, "val")
        except UserError:
            why = "the model has learned from clips that stand in val now"
        else:
            found, why = _fitted(task.temperature, val, answer)
    if found is None:
        say("evaluate", f"no temperature scaling: {why}")
    return found


def _fitted(
    temperature: TemperatureModule,
    val: Sequence[Sample],
    answer: Callable[[Sequence[Sample]], tuple[Scores, np.ndarray]],
) -> tuple[float | None, str]:
    """The temperature of these samples, or why there is none."""
    try:
        found = temperature.fit(answer(val)[0]) if val else None
    except UserError as error:  # a classifier's, where val lacks vectors
        return None, str(error)
    return found, f"the {len(val)} clips in val are too few"


def _baselines(
    scored: Scored,
    samples: Sequence[Sample],
    train: Sequence[Sample],
    videos: Sequence[Video],
    split: str,
) -> dict[str, float]:
    """What must be beaten on the same clips; on the training split that means nothing."""
    task = select_task(scored.task)
    if split == "train" or task.classes is None:
        return {}
    target_b = task.classes.target_b([sample.row for sample in train], scored.spec)
    learned = [sample for sample, target in zip(train, target_b, strict=True) if target >= 0]
    if not learned:
        return {}
    told = tell_all(
        learned,
        samples,
        videos={video.video_id: video for video in videos},
        task=scored.task,
        spec=scored.spec,
    )
    return over_baselines([scored], told, task)


def _say_headline(
    metrics: dict[str, float], baselines: dict[str, float], task: Task, model: str, split: str
) -> None:
    name = task.metrics.MONITOR
    clips, videos = (f"{metrics[unit]:.0f} {unit}" for unit in ("clips", "videos"))
    by_video = (
        f"; {metrics[f'video_{name}']:.3f} by video, of {videos}"
        if f"video_{name}" in metrics and metrics["videos"] < metrics["clips"]
        else ""
    )
    say(
        "evaluate",
        f"{model}: {split}/{name} {metrics[name]:.3f} ({said_interval(metrics, name)}), "
        f"{clips}{by_video}"
        f"{beside(baselines, name, split)}",
    )


def _say_beyond(measured: Measured, model: str) -> None:
    """What the temperature sets right, and whether the model knows more than the source."""
    told = measured.metrics
    if "temperature" in told:
        changes = ", ".join(
            f"{name.removesuffix('_scaled').replace('_', ' ')} "
            f"{told[name.removesuffix('_scaled')]:.3f} -> {told[name]:.3f}"
            for name in told
            if name.endswith("_scaled")
        )
        say("evaluate", f"{model}: at temperature {told['temperature']:.2f} from val {changes}")
    if BEYOND_SOURCE in measured.numbers:
        say("evaluate", f"{model}: {measured.numbers[BEYOND_SOURCE]['sentence']}")


def _learning_curves(trained: runlog.Run, task: Task) -> Figure | None:
    """None of what is not learned in epochs."""
    if not trained.history("train/loss"):
        return None
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
