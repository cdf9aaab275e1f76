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
from videoproc.augment import Augmentation
from videoproc.features import FEATURES, compute_features
from videoproc.learning import checkpoint, classical_learner
from videoproc.learning.checkpoint import Card, Position
from videoproc.learning.classical import CLASSIFIERS
from videoproc.learning.classical_learner import ClassicalLearner
from videoproc.learning.samples import Sample, read_sample
from videoproc.learning.trained import (
    BYTES_PER_BATCH_BYTE,
    Trained,
    TrainedEnsemble,
    TrainedNetwork,
    read_trained,
)
from videoproc.learning.vectors import all_vectors
from videoproc.media import Sampling, Size
from videoproc.tables import Dataset, FrameFormat, Recipe
from videoproc.tables.clip_reader import ClipReader
from videoproc.tasks import TASKS, select_task
from videoproc.types import Row, UserError

FRAME_BYTES = 8 * 8 * 3
QUICK = {"svm": {}, "forest": {"trees": 10}, "neighbours": {}, "boosting": {"rounds": 5}}


@pytest.fixture
def rows(samples: list[Sample]) -> list[Row]:
    reader = ClipReader()
    return [read_sample(sample, reader) | {"error_class": ""} for sample in samples[:6]]


@pytest.fixture
def network(tmp_path: Path, make_card) -> Path:
    return save_network(tmp_path, make_card())


def save_network(folder: Path, card: Card) -> Path:
    torch.manual_seed(0)
    model = card.build()
    optimiser = torch.optim.SGD(model.parameters())
    checkpoint.save(folder, model=model, optimiser=optimiser, card=card, position=Position())
    return checkpoint.best(folder)


@pytest.fixture
def data(tmp_path: Path, samples: list[Sample]) -> Dataset:
    made = Dataset(folder=tmp_path / "data")
    store_vectors(made, samples, ["motion", "colour"])
    return made


def save_classifier(
    data: Dataset,
    samples: list[Sample],
    recipe: Recipe,
    classifier: str = "forest",
    features: tuple[str, ...] | None = None,
) -> Path:
    vectors = all_vectors(data, clip_ids=[sample.row["clip_id"] for sample in samples])
    vectors = replace(vectors, features=features or vectors.features)
    learner = ClassicalLearner(classifier=classifier, vectors=vectors, settings=QUICK[classifier])
    folder = data.folder / "checkpoint"
    classical_learner.save(folder, *learner.teach(samples, seed=0, recipe=recipe))
    return folder


@pytest.mark.parametrize("segments", [None, {"count": 2, "answers": 1}])
def test_a_network_answers_from_frames(
    tmp_path: Path, make_card, rows: list[Row], segments: dict[str, int] | None
) -> None:
    network = save_network(tmp_path, replace(make_card(), segments=segments))
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


@pytest.fixture
def members(
    network: Path, data: Dataset, samples: list[Sample], recipe: Recipe
) -> dict[str, Trained]:
    """Three, of which the two classifiers share a feature in another place."""
    of_motion = save_classifier(data, samples, recipe, "neighbours", ("motion",))
    first = read_trained(of_motion)
    of_both = save_classifier(data, samples, recipe, "forest", ("colour", "motion"))
    return {"a": first, "b": read_trained(network), "c": read_trained(of_both)}


def test_several_answer_with_the_mean_of_what_each_says_from_its_own_vectors(
    members: dict[str, Trained], rows: list[Row]
) -> None:
    together = pickle.loads(pickle.dumps(TrainedEnsemble(members=members)))
    measured = [made for row in rows for made in compute_features(features=together.features)(row)]
    told = together.build()(measured)
    alone = []
    for member in members.values():
        own = [made for row in rows for made in compute_features(features=member.features)(row)]
        alone.append([row["probabilities"] for row in member.build()(own)])
    assert not np.allclose(alone[0], alone[2]), "they do not say the same"
    expected = np.mean(alone, axis=0)
    np.testing.assert_allclose([row["probabilities"] for row in told], expected, rtol=0, atol=1e-7)
    classes = np.array(members["a"].spec["classes"])
    assert [row["label"] for row in told] == classes[expected.argmax(axis=1)].tolist()


def test_several_take_each_feature_once_and_what_any_of_them_needs(
    members: dict[str, Trained], recipe: Recipe
) -> None:
    together = TrainedEnsemble(members=members)
    assert [feature.name for feature in together.features] == ["motion", "colour"]
    assert together.batch_bytes(3) == sum(one.batch_bytes(3) for one in members.values())
    assert together.make_recipe() == recipe
    assert together.takes_gpu
    assert together.takes_frames
    of_vectors = TrainedEnsemble(members={name: members[name] for name in "ac"})
    assert not of_vectors.takes_gpu
    assert not of_vectors.takes_frames


def changed(trained: Trained, **card: object) -> Trained:
    assert isinstance(trained, TrainedNetwork)
    return replace(trained, card=replace(trained.card, **card))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"task": "counting"}, "different tasks, classification and counting: give runs of one"),
        (
            {"spec": {"classes": ["dark", "dim"]}},
            r"other things, .*'dim'.*: train both on",
        ),
        ({"size": Size(height=9, width=8)}, r"other clips \(Size\(.*height=9.*\)\): train both on"),
        (
            {"frames": FrameFormat(encoding="jpeg")},
            r"other clips \(FrameFormat\(.*'jpeg'.*\)\): train both on clips of one recipe",
        ),
    ],
)
def test_those_that_do_not_fit_together_are_named_with_what_differs(
    network: Path, recipe: Recipe, change: dict[str, object], said: str
) -> None:
    one = read_trained(network)
    if not {"task", "spec"} & change.keys():
        change = {"recipe": replace(recipe, **change).to_json()}  # type: ignore[arg-type]
    with pytest.raises(UserError, match=rf"^runs run1 and run2 .*{said}"):
        TrainedEnsemble(members={"run1": one, "run2": changed(one, **change)})


def test_other_views_in_training_do_not_keep_them_apart(network: Path, recipe: Recipe) -> None:
    one = read_trained(network)
    more = replace(recipe, augmentation=Augmentation(views=3)).to_json()
    together = TrainedEnsemble(members={"run1": one, "run2": changed(one, recipe=more)})
    assert together.make_recipe().recipe_id == recipe.recipe_id


def test_a_task_whose_answers_cannot_be_taken_together_is_refused(
    network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = read_trained(network)
    monkeypatch.setitem(TASKS, "classification", replace(TASKS["classification"], ensemble=None))
    with pytest.raises(UserError, match=r"^runs run1, run2: task 'classification' has no ensemble"):
        TrainedEnsemble(members={"run1": one, "run2": one})
