"""Whatever kind a checkpoint is, it is read and asked in the same way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.learning.conftest import store_vectors
from videoproc.learning import checkpoint, classical_learner
from videoproc.learning.answering import load_answerer, read_taught
from videoproc.learning.checkpoint import Card, Position
from videoproc.learning.classical_learner import ClassicalLearner
from videoproc.learning.evaluate import score
from videoproc.learning.samples import Sample
from videoproc.learning.vectors import all_vectors
from videoproc.learning.world import World
from videoproc.tables import Dataset, Recipe
from videoproc.tasks import select_task


def test_a_network_answers_as_it_is_scored(
    dataset: Dataset, samples: list[Sample], make_card: Callable[..., Card], tmp_path: Path
) -> None:
    card = make_card()
    model = card.build()
    optimiser = torch.optim.SGD(model.parameters())
    checkpoint.save(tmp_path, model=model, optimiser=optimiser, card=card, position=Position())
    folder, world = checkpoint.best(tmp_path), World.current()
    taught = read_taught(folder)
    assert (taught.model, taught.tables) == ("cnn_gru", ("clips",))
    assert taught.recipe == card.make_recipe()
    told, losses = load_answerer(folder, dataset=dataset, world=world).answer(
        samples, batch_size=8, world=world
    )
    expected, expected_losses = score(
        model,
        samples,
        task=select_task(card.task),
        spec=taught.spec,
        batch_size=8,
        world=world,
    )
    assert (told["probabilities"] == expected["probabilities"]).all()
    assert (losses == expected_losses).all()


@pytest.fixture
def with_vectors(tmp_path: Path, samples: list[Sample]) -> Dataset:
    made = Dataset(folder=tmp_path / "data")
    store_vectors(made, samples, ["colour"])
    return made


def test_a_classifier_answers_from_the_datasets_vectors(
    with_vectors: Dataset, samples: list[Sample], recipe: Recipe, tmp_path: Path
) -> None:
    vectors = all_vectors(with_vectors, clip_ids=[sample.row["clip_id"] for sample in samples])
    learner = ClassicalLearner(classifier="neighbours", vectors=vectors, settings={})
    folder, world = tmp_path / "checkpoint", World.current()
    classical_learner.save(folder, *learner.teach(samples[:30], seed=0, recipe=recipe))
    taught = read_taught(folder)
    assert (taught.model, taught.tables) == ("neighbours", ("clips", "features"))
    assert taught.recipe == recipe
    told, losses = load_answerer(folder, dataset=with_vectors, world=world).answer(
        samples[30:], batch_size=8, world=world
    )
    right = told["probabilities"].argmax(axis=1) == told["target"]
    assert right.mean() > 0.9
    assert losses.shape == (len(samples) - 30,)
    assert np.isfinite(losses).all()
