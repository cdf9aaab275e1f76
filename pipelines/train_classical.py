"""Train a classifier on feature vectors: support vectors, a forest, neighbours or boosted trees."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipelines import cli
from pipelines.index import label_rule
from videoproc import runlog, schema
from videoproc.corpus import manifest
from videoproc.corpus.splits import check_no_leak
from videoproc.learning import classical_learner
from videoproc.learning.classical import CLASSICAL_VERSION, CLASSIFIERS, Fitted
from videoproc.learning.classical_learner import ClassicalLearner, check_classifier
from videoproc.learning.samples import Sample, split_samples, used_clips, videos_and_groups
from videoproc.learning.vector_card import VectorCard
from videoproc.learning.vectors import Vectors, all_vectors, column_names
from videoproc.report.importances import importances_plot
from videoproc.report.progress import say
from videoproc.tables import Dataset, Recipe
from videoproc.tasks import Task, select_task
from videoproc.types import Video


@dataclass(frozen=True, kw_only=True)
class TrainClassicalConfig:
    """What train_classical does.

    Args:
        data: the dataset folder; `extract` must have made its features.
        classifier: svm, forest, neighbours or boosting.
        task: what is learned, by name.
        features: those that are learned from, by name; by default all that the clips have.
        seed: decides the folds by which settings are chosen, and the trees.
        settings: of the classifier; by default they are chosen within the training split.
    """

    data: str
    classifier: str
    task: str = "classification"
    features: tuple[str, ...] = ()
    seed: int = 0
    settings: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}: use 0 or more")
        check_classifier(self.classifier, self.settings)


@dataclass(frozen=True, kw_only=True)
class Prepared:
    """What a config comes to on its dataset; nothing is learned yet."""

    dataset: Dataset
    videos: Sequence[Video]
    task: Task
    recipe: Recipe
    train: Sequence[Sample]
    val: Sequence[Sample]
    learner: ClassicalLearner
    training_key: str


def train_classical(config: TrainClassicalConfig) -> str:
    """Train a classifier on feature vectors: support vectors, forest, neighbours or boosting."""
    prepared = prepare(config)
    workspace, dataset = cli.workspace(), prepared.dataset
    named = asdict(config) | {
        "features": prepared.learner.vectors.features,
        "recipe": asdict(prepared.recipe),
    }
    with runlog.job_run(
        "train", data=dataset.folder, workspace=workspace, config=named, name=config.classifier
    ) as run:
        run.set_tags(_tags(config, prepared))
        learned_from = {
            "train": videos_and_groups(prepared.train),
            "val": videos_and_groups(prepared.val),
        }
        run.log_json(learned_from, runlog.LEARNED_FROM)
        for samples, context in ((prepared.train, "training"), (prepared.val, "validation")):
            run.log_dataset(**used_clips(dataset, samples, context=context))
        say(
            "train",
            f"{config.classifier}: {len(prepared.train)} clips to train, {len(prepared.val)} to "
            f"validate, {len(column_names(prepared.learner.vectors.selected))} numbers a clip of "
            f"{len(prepared.learner.vectors.features)} features, run {run.run_id}",
        )
        fitted, card = prepared.learner.teach(
            prepared.train, seed=config.seed, recipe=prepared.recipe
        )
        with tempfile.TemporaryDirectory() as folder:
            classical_learner.save(Path(folder), fitted, card)
            run.log_folder(Path(folder), "checkpoint")
        measured = _measure(fitted, card, prepared)
        run.log_metrics(measured | {"train_s": card.learn_s})
        _log_choice(run, fitted)
        _log_importances(run, fitted, prepared)
        chosen = ", ".join(f"{name} {value}" for name, value in asdict(fitted.config).items())
        monitor = prepared.task.metrics.MONITOR
        say(
            "train",
            f"{config.classifier}: {chosen}{_said_inner(fitted)}; val {monitor} "
            f"{measured[f'val/{monitor}']:.3f}, val loss {measured['val/loss']:.4f}, in "
            f"{card.learn_s:.1f} s",
        )
    return run.run_id


def prepare(config: TrainClassicalConfig) -> Prepared:
    """Check a config against its dataset; a UserError before a run is opened."""
    dataset, task = Dataset(folder=cli.absolute(config.data)), select_task(config.task)
    classical_learner.classes_of(config.task)
    videos = manifest.from_table(dataset.require_manifest())
    check_no_leak(videos)
    recipe = dataset.recipe
    label_rule(dataset).check(recipe.augmentation.used, dataset=dataset.folder)
    train, val = (
        split_samples(
            dataset, split, recipe=recipe, videos=videos, is_usable=task.targets.is_usable
        )
        for split in ("train", "val")
    )
    clip_ids = [sample.row["clip_id"] for sample in (*train, *val)]
    vectors = (
        Vectors(data=dataset.folder, version=dataset.features.version, features=config.features)
        if config.features
        else all_vectors(dataset, clip_ids=clip_ids)
    )
    vectors.matrix(clip_ids)  # what is missing is said here, and before anything is learned
    learner = ClassicalLearner(
        classifier=config.classifier, vectors=vectors, task=config.task, settings=config.settings
    )
    tried = [config.settings] if config.settings is not None else _candidates(config.classifier)
    key = schema.content_id(
        [config.classifier, config.task, config.seed, tried, CLASSICAL_VERSION],
        [[feature.name, feature.feature_id] for feature in vectors.selected],
        [[sample.row["clip_id"], sample.row["label"], sample.row["group"]] for sample in train],
        [[sample.row["clip_id"], sample.row["label"]] for sample in val],
    )
    return Prepared(
        dataset=dataset,
        videos=videos,
        task=task,
        recipe=recipe,
        train=train,
        val=val,
        learner=learner,
        training_key=key,
    )


def _candidates(classifier: str) -> list[dict[str, Any]]:
    return [asdict(candidate) for candidate in CLASSIFIERS[classifier].candidates]


def _tags(config: TrainClassicalConfig, prepared: Prepared) -> dict[str, Any]:
    dataset = prepared.dataset
    return {
        "mlflow.source.name": "pipelines.train_classical",
        "training_key": prepared.training_key,
        "task": config.task,
        "model": config.classifier,
        "manifest_digest": manifest.digest(prepared.videos),
        "table_version.clips": dataset.clips.version,
        "table_version.features": prepared.learner.vectors.version,
        "table_version.manifest": dataset.manifest.version,
        "clips.train": len(prepared.train),
        "clips.val": len(prepared.val),
    }


def _measure(fitted: Fitted, card: VectorCard, prepared: Prepared) -> dict[str, float]:
    """The metrics of an epoch, of the validation split."""
    scores, losses = classical_learner.answer(
        fitted, card, prepared.val, vectors=prepared.learner.vectors
    )
    summary = prepared.task.metrics.summarise(scores, card.spec)
    return {f"val/{name}": value for name, value in summary.items()} | {
        "val/loss": float(losses.mean())
    }


def _log_choice(run: runlog.Run, fitted: Fitted) -> None:
    """What was chosen, and among what."""
    tried = _candidates(fitted.classifier)
    run.log_json(
        {
            "chosen": asdict(fitted.config),
            "tried": [
                {"settings": settings, "inner_accuracy": accuracy}
                for settings, accuracy in zip(tried, fitted.inner_accuracy, strict=False)
            ],
        },
        "choice.json",
    )
    if fitted.inner_accuracy:
        run.log_metrics({"inner_accuracy": max(fitted.inner_accuracy)})


def _said_inner(fitted: Fitted) -> str:
    if not fitted.inner_accuracy:
        return ""
    return (
        f" (of {len(fitted.inner_accuracy)} settings, {max(fitted.inner_accuracy):.3f} right in "
        "folds within train)"
    )


def _log_importances(run: runlog.Run, fitted: Fitted, prepared: Prepared) -> None:
    """How much a forest's nodes owe to each feature and each of its columns; nothing of others."""
    steps = getattr(fitted.estimator, "named_steps", {})
    if "randomforestclassifier" not in steps:
        return
    found = steps["randomforestclassifier"].feature_importances_
    features = prepared.learner.vectors.selected
    stops = np.cumsum([feature.length for feature in features])
    of_feature = np.add.reduceat(found, [0, *stops[:-1]])
    by_feature = dict(zip((f.name for f in features), map(float, of_feature), strict=True))
    by_column = dict(zip(column_names(features), map(float, found), strict=True))
    run.log_json({"by_feature": by_feature, "by_column": by_column}, "importances.json")
    run.log_figure(importances_plot(by_feature, by_column), "importances.png")


if __name__ == "__main__":
    cli.main(train_classical, TrainClassicalConfig)
