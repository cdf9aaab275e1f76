"""A classifier of vectors is a learner: told as networks are, kept in its folder, small to send."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.learning.conftest import store_vectors
from videoproc.learning.classical import CLASSIFIERS
from videoproc.learning.classical_learner import ClassicalLearner, load
from videoproc.learning.learner import Part
from videoproc.learning.samples import Sample
from videoproc.learning.vectors import Vectors, all_vectors
from videoproc.tables import Dataset
from videoproc.types import UserError

SETTINGS = {
    "svm": {},
    "forest": {"trees": 20},
    "neighbours": {},
    "boosting": {"rounds": 5, "min_samples_leaf": 2},
}


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory, samples: list[Sample]) -> Vectors:
    """Colour and motion of every sample's clip."""
    dataset = Dataset(folder=tmp_path_factory.mktemp("vectors"))
    store_vectors(dataset, samples, ["motion", "colour"])
    return all_vectors(dataset, clip_ids=[sample.row["clip_id"] for sample in samples])


@pytest.fixture
def part(samples: list[Sample]) -> Part:
    return Part(train=samples[:25], val=samples[25:33], test=samples[33:])


@pytest.mark.parametrize("classifier", CLASSIFIERS)
def test_it_tells_the_test_samples_apart_in_their_order(
    classifier: str, vectors: Vectors, part: Part, tmp_path: Path
) -> None:
    learner = ClassicalLearner(
        classifier=classifier, vectors=vectors, settings=SETTINGS[classifier]
    )
    told = learner.learn(part, seed=0, folder=tmp_path)
    labels = [told.spec["classes"][index] for index in told.scores["target"]]
    assert labels == [sample.row["label"] for sample in part.test]
    assert told.scores["probabilities"].dtype == np.float32
    assert (told.scores["probabilities"].argmax(axis=1) == told.scores["target"]).mean() > 0.9
    assert told.losses.shape == (len(part.test),)
    assert set(SETTINGS[classifier].items()) <= set(told.settings.items())


def test_what_lies_in_the_folder_is_not_learned_again(
    vectors: Vectors, part: Part, tmp_path: Path
) -> None:
    learner = ClassicalLearner(classifier="forest", vectors=vectors, settings={"trees": 20})
    told = learner.learn(part, seed=0, folder=tmp_path)
    # Nothing could be learned from no samples.
    again = learner.learn(replace(part, train=[], val=[]), seed=0, folder=tmp_path)
    assert (told.scores["probabilities"] == again.scores["probabilities"]).all()
    assert (told.spec, told.settings, told.learn_s) == (again.spec, again.settings, again.learn_s)


def test_a_folder_that_was_cut_off_before_its_last_file_is_learned_anew(
    vectors: Vectors, part: Part, tmp_path: Path
) -> None:
    learner = ClassicalLearner(classifier="neighbours", vectors=vectors, settings={})
    told = learner.learn(part, seed=0, folder=tmp_path)
    (tmp_path / "vectors.json").unlink()
    (tmp_path / "classifier.skops").write_bytes(b"half")
    again = learner.learn(part, seed=0, folder=tmp_path)
    assert (told.scores["probabilities"] == again.scores["probabilities"]).all()


def test_it_learns_from_validation_samples_too(
    vectors: Vectors, part: Part, tmp_path: Path
) -> None:
    learner = ClassicalLearner(classifier="neighbours", vectors=vectors, settings={})
    told = learner.learn(replace(part, train=[], val=part.train), seed=0, folder=tmp_path / "val")
    other = learner.learn(replace(part, val=[]), seed=0, folder=tmp_path / "train")
    assert (told.scores["probabilities"] == other.scores["probabilities"]).all()


def test_settings_are_chosen_where_none_are_given(
    vectors: Vectors, part: Part, tmp_path: Path
) -> None:
    told = ClassicalLearner(classifier="neighbours", vectors=vectors).learn(
        part, seed=0, folder=tmp_path
    )
    fitted, _ = load(tmp_path)
    assert len(fitted.inner_accuracy) == len(CLASSIFIERS["neighbours"].candidates)
    assert told.settings == {"neighbours": fitted.config.neighbours}


def test_sources_decide_the_inner_folds(vectors: Vectors, part: Part, tmp_path: Path) -> None:
    # One group has all: nothing can be left out. Without groups each video stands for itself.
    def regrouped(samples: list[Sample], group: str | None) -> list[Sample]:
        return [replace(sample, row=sample.row | {"group": group}) for sample in samples]

    learner = ClassicalLearner(classifier="neighbours", vectors=vectors, settings={})
    with pytest.raises(UserError, match=r"is in 1 group\(s\), too few"):
        learner.learn(
            Part(train=regrouped(part.train, "one"), val=[], test=part.test),
            seed=0,
            folder=tmp_path / "one",
        )
    alone = Part(train=regrouped(part.train, None), val=[], test=part.test)
    assert learner.learn(alone, seed=0, folder=tmp_path / "none").losses.mean() < 1


def test_it_travels_without_its_matrix(vectors: Vectors) -> None:
    learner = ClassicalLearner(classifier="svm", vectors=vectors)
    sent = pickle.dumps(learner)
    assert len(sent) < 2000
    assert pickle.loads(sent) == learner


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"classifier": "xgb"}, "no classifier 'xgb'; there are svm"),
        ({"settings": {"depth": 3}}, "'forest' has no 'depth'; it has trees"),
        ({"settings": {"trees": 0}}, "trees is 0: use 1 or more"),
        ({"task": "reading"}, "no task 'reading'"),
    ],
)
def test_what_cannot_be_learned_is_refused_at_once(
    vectors: Vectors, given: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        ClassicalLearner(**({"classifier": "forest", "vectors": vectors} | given))
