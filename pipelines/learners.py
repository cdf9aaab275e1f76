"""What learns, by the name of its model: a network, a classifier of vectors, or a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from pipelines.index import label_rule
from pipelines.train import TrainConfig, check_on_dataset
from videoproc.learning.baseline_learner import BaselineLearner, baselines_of
from videoproc.learning.classical import CLASSICAL_VERSION, CLASSIFIERS
from videoproc.learning.classical_learner import ClassicalLearner
from videoproc.learning.config import LoopConfig
from videoproc.learning.initial import FirstWeights
from videoproc.learning.learner import Learner
from videoproc.learning.network import Candidate, NetworkLearner, changed
from videoproc.learning.samples import Sample
from videoproc.learning.vectors import Vectors, all_vectors
from videoproc.models import MODELS
from videoproc.tables import Dataset
from videoproc.types import UserError, Video


@dataclass(frozen=True, kw_only=True)
class Asked:
    """How it is to learn, as `CrossValidateConfig` has it. features is None where all are meant,
    first where weights are random."""

    task: str
    model_settings: dict[str, Any]
    features: tuple[str, ...] | None
    loop: LoopConfig
    candidates: Sequence[Candidate]
    first: FirstWeights | None = None


def make_learner(
    model: str,
    asked: Asked,
    *,
    dataset: Dataset,
    videos: Sequence[Video],
    samples: Sequence[Sample],
) -> tuple[Learner, dict[str, Any]]:
    """The learner, and what decides it beside what is asked for. Errors: UserError for a model that
    does not exist, and for what it cannot take."""
    if model in MODELS:
        if asked.features is not None:
            raise UserError(f"features: model {model!r} learns from frames: leave them out")
        return _network(model, asked, dataset)
    baselines = baselines_of(asked.task)
    if model not in (*CLASSIFIERS, *baselines):
        raise UserError(
            f"model: no model {model!r}; there are {', '.join((*MODELS, *CLASSIFIERS))} and the "
            f"baselines {', '.join(baselines)}"
        )
    if asked.loop != LoopConfig() or asked.candidates or asked.first is not None:
        raise UserError(f"loop, candidates, init_from: {model!r} is no network: leave them out")
    if model in CLASSIFIERS:
        return _classifier(model, asked, dataset, samples)
    if asked.model_settings or asked.features is not None:
        raise UserError(f"model_settings, features: baseline {model!r} has none")
    by_id = {video.video_id: video for video in videos}
    return BaselineLearner(name=model, videos=by_id, task=asked.task), {}


def _network(model: str, asked: Asked, dataset: Dataset) -> tuple[Learner, dict[str, Any]]:
    training = TrainConfig(
        data=str(dataset.folder),
        model=model,
        task=asked.task,
        model_settings=asked.model_settings,
        loop=asked.loop,
    )
    _, settings, frame_shape = check_on_dataset(training, dataset)
    for candidate in asked.candidates:  # one that cannot be is found before Ray starts
        loop = changed(asked.loop, candidate.loop, where="candidates.loop")
        model_settings = asked.model_settings | candidate.model_settings
        check_on_dataset(replace(training, loop=loop, model_settings=model_settings), dataset)
    learner = NetworkLearner(
        task=asked.task,
        model=model,
        model_settings=asked.model_settings,
        loop=asked.loop,
        frame_shape=frame_shape,
        recipe=dataset.recipe.to_json(),
        candidates=tuple(asked.candidates),
        first=asked.first,
    )
    return learner, settings


def _classifier(
    model: str, asked: Asked, dataset: Dataset, samples: Sequence[Sample]
) -> tuple[Learner, dict[str, Any]]:
    # Its train side has all stored views, as a network's.
    label_rule(dataset).check(dataset.recipe.augmentation.used, dataset=dataset.folder)
    clip_ids = [sample.row["clip_id"] for sample in samples]
    if asked.features is None:
        vectors = all_vectors(dataset, clip_ids=clip_ids)
    else:
        version = dataset.features.version
        vectors = Vectors(data=dataset.folder, version=version, features=asked.features)
    vectors.matrix(clip_ids)  # what is missing is said here, and before anything is learned
    learner = ClassicalLearner(
        classifier=model,
        vectors=vectors,
        task=asked.task,
        settings=asked.model_settings or None,
    )
    ids = {feature.name: feature.feature_id for feature in vectors.selected}
    return learner, {"features": ids, "classical_version": CLASSICAL_VERSION}
