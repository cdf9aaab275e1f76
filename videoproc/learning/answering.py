"""What answers for samples as a run has learned it: a network, or a classifier of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import nn

from videoproc.learning import checkpoint, classical_learner, vector_card
from videoproc.learning.classical import Fitted
from videoproc.learning.evaluate import score
from videoproc.learning.samples import Sample
from videoproc.learning.vector_card import VectorCard
from videoproc.learning.world import World
from videoproc.storage import Anywhere
from videoproc.tables import Dataset, Recipe
from videoproc.tasks import Scores, Spec, select_task


@dataclass(frozen=True, kw_only=True)
class Taught:
    """What a checkpoint was taught, of whatever kind it is. model: its name. tables: of a dataset,
    those that it answers from."""

    model: str
    task: str
    spec: Spec
    recipe: Recipe
    tables: tuple[str, ...] = ("clips",)


class Answerer(Protocol):
    """Of some dataset's samples."""

    def answer(
        self, samples: Sequence[Sample], *, batch_size: int, world: World
    ) -> tuple[Scores, np.ndarray]:
        """The scores of every sample once and their losses (N,), in the order of `samples`."""


@dataclass(frozen=True, kw_only=True)
class NetworkAnswerer:
    """Answers from frames."""

    model: nn.Module
    card: checkpoint.Card

    def answer(
        self, samples: Sequence[Sample], *, batch_size: int, world: World
    ) -> tuple[Scores, np.ndarray]:
        return score(
            self.model,
            samples,
            task=select_task(self.card.task),
            spec=self.card.spec,
            batch_size=batch_size,
            world=world,
        )


@dataclass(frozen=True, kw_only=True)
class ClassicalAnswerer:
    """Answers from the vectors in the dataset's table."""

    fitted: Fitted
    card: VectorCard
    dataset: Dataset

    def answer(
        self,
        samples: Sequence[Sample],
        *,
        batch_size: int,  # noqa: ARG002 - vectors are small
        world: World,  # noqa: ARG002 - and one process is enough
    ) -> tuple[Scores, np.ndarray]:
        vectors = self.card.vectors(self.dataset.folder, version=self.dataset.features.version)
        return classical_learner.answer(self.fitted, self.card, samples, vectors=vectors)


def read_taught(folder: Anywhere) -> Taught:
    """What a checkpoint was taught, without its weights."""
    if vector_card.is_in(folder):
        card = vector_card.read_card(folder)
        return Taught(
            model=card.classifier,
            task=card.task,
            spec=card.spec,
            recipe=card.make_recipe(),
            tables=("clips", "features"),
        )
    network = checkpoint.read_card(folder)
    return Taught(
        model=network.model, task=network.task, spec=network.spec, recipe=network.make_recipe()
    )


def load_answerer(folder: Anywhere, *, dataset: Dataset, world: World) -> Answerer:
    """What lies in a checkpoint's folder, ready to answer for samples of this dataset."""
    if vector_card.is_in(folder):
        fitted, card = classical_learner.load(folder)
        return ClassicalAnswerer(fitted=fitted, card=card, dataset=dataset)
    model, network = checkpoint.load(folder, device=world.device)
    return NetworkAnswerer(model=model, card=network)
