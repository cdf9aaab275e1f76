"""A model travels without its folder, whatever kind it is, and answers as it did there."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.learning.conftest import store_vectors
from videoproc import schema
from videoproc.features import FEATURES, compute_features
from videoproc.learning import checkpoint, classical_learner
from videoproc.learning.checkpoint import Position
from videoproc.learning.classical import CLASSIFIERS
from videoproc.learning.classical_learner import ClassicalLearner
from videoproc.learning.samples import Sample, read_sample
from videoproc.learning.trained import BYTES_PER_BATCH_BYTE, read_trained
from videoproc.learning.vectors import all_vectors
from videoproc.media import Sampling
from videoproc.tables import Dataset, Recipe
from videoproc.tables.clip_reader import ClipReader
from videoproc.tasks import select_task
from videoproc.types import Row, UserError

FRAME_BYTES = 8 * 8 * 3
QUICK = {"svm": {}, "forest": {"trees": 10}, "neighbours": {}, "boosting": {"rounds": 5}}


@pytest.fixture
def rows(samples: list[Sample]) -> list[Row]:
    reader = ClipReader()
    return [read_sample(sample, reader) | {"error_class": ""} for sample in samples[:6]]


@pytest.fixture
def network(tmp_path: Path, make_card) -> Path:
    torch.manual_seed(0)
    card = make_card()
    model = card.build()
    optimiser = torch.optim.SGD(model.parameters())
    checkpoint.save(tmp_path, model=model, optimiser=optimiser, card=card, position=Position())
    return checkpoint.best(tmp_path)


@pytest.fixture
def data(tmp_path: Path, samples: list[Sample]) -> Dataset:
    made = Dataset(folder=tmp_path / "data")
    store_vectors(made, samples, ["motion", "colour"])
    return made


def save_classifier(
    data: Dataset, samples: list[Sample], recipe: Recipe, classifier: str = "forest"
) -> Path:
    vectors = all_vectors(data, clip_ids=[sample.row["clip_id"] for sample in samples])
    learner = ClassicalLearner(classifier=classifier, vectors=vectors, settings=QUICK[classifier])
    folder = data.folder / "checkpoint"
    classical_learner.save(folder, *learner.teach(samples, seed=0, recipe=recipe))
    return folder


def test_a_network_answers_from_frames(network: Path, rows: list[Row]) -> None:
    trained = pickle.loads(pickle.dumps(read_trained(network)))
    model, card = checkpoint.load(network, device=torch.device("cpu"))
    frames = torch.from_numpy(np.stack([schema.frames_of(row) for row in rows]))
    expected = model(frames).softmax(dim=1).tolist()
    told = [row["probabilities"] for row in trained.build()(rows)]
    assert told == [pytest.approx(probabilities, abs=1e-6) for probabilities in expected]
    assert (trained.task, list(trained.features)) == ("classification", [])
    assert trained.make_recipe() == card.make_recipe()


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_a_classifier_answers_from_vectors_as_it_does_from_the_table(
    data: Dataset, samples: list[Sample], rows: list[Row], recipe: Recipe, classifier: str
) -> None:
    folder = save_classifier(data, samples, recipe, classifier)
    trained = pickle.loads(pickle.dumps(read_trained(folder)))
    assert [feature.name for feature in trained.features] == ["colour", "motion"]
    assert trained.make_recipe() == recipe
    measured = [made for row in rows for made in compute_features(features=trained.features)(row)]
    told = trained.build()(measured)
    fitted, card = classical_learner.load(folder)
    scores, _ = classical_learner.answer(
        fitted,
        card,
        samples[: len(rows)],
        vectors=card.vectors(data.folder, version=data.features.version),
    )
    probabilities = np.array([row["probabilities"] for row in told], np.float32)
    np.testing.assert_allclose(probabilities, scores["probabilities"], rtol=0, atol=1e-6)
    assert told[0].keys() == set(select_task("classification").outputs.COLUMNS.names)


def test_only_a_network_takes_a_gpu_and_memory_for_what_it_makes_of_frames(
    network: Path, data: Dataset, samples: list[Sample], recipe: Recipe
) -> None:
    of_network = read_trained(network)
    of_vectors = read_trained(save_classifier(data, samples, recipe))
    assert of_network.takes_gpu
    assert not of_vectors.takes_gpu
    frames_bytes = 3 * FRAME_BYTES * BYTES_PER_BATCH_BYTE * 2
    assert of_vectors.batch_bytes(2) == frames_bytes
    assert of_network.batch_bytes(2) > frames_bytes
    uneven = replace(recipe, sampling=Sampling(pick="keyframes"))
    card = replace(of_vectors.card, recipe=uneven.to_json())  # type: ignore[attr-defined]
    assert replace(of_vectors, card=card).batch_bytes(2) == 0  # type: ignore[type-var]


def test_a_feature_that_has_changed_since_is_refused_before_anything_is_decoded(
    data: Dataset, samples: list[Sample], recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save_classifier(data, samples, recipe)
    monkeypatch.setitem(FEATURES, "colour", replace(FEATURES["colour"], version=99))
    with pytest.raises(UserError, match="feature 'colour' is no longer what this classifier"):
        read_trained(folder)


def test_files_that_are_damaged_are_refused_before_anything_is_decoded(
    network: Path, data: Dataset, samples: list[Sample], recipe: Recipe
) -> None:
    (network / checkpoint.MODEL).write_bytes(b"no weights")
    with pytest.raises(UserError, match="holds no safetensors"):
        read_trained(network)
    folder = save_classifier(data, samples, recipe)
    (folder / "classifier.skops").write_bytes(b"no classifier")
    with pytest.raises(UserError, match=r"classifier\.skops is damaged"):
        read_trained(folder)
