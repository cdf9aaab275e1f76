"""Baselines are learners like networks, so that they are measured on the same samples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from videoproc.learning.baseline_learner import BaselineLearner, baselines_of
from videoproc.learning.learner import Part
from videoproc.learning.samples import Sample
from videoproc.types import UserError, Video


@pytest.fixture
def by_id(videos: list[Video]) -> dict[str, Video]:
    """The label stands in the width, as where each class comes from another camera."""
    width = {"dark": 320, "medium": 640, "bright": 1280}
    return {v.video_id: replace(v, width=width[str(v.label)], height=240) for v in videos}


@pytest.fixture
def part(samples: list[Sample]) -> Part:
    return Part(train=samples[:25], val=samples[25:33], test=samples[33:])


def test_headers_that_tell_the_label_are_found_out(
    by_id: dict[str, Video], part: Part, tmp_path: Path
) -> None:
    told = BaselineLearner(name="header_only", videos=by_id).learn(part, seed=0, folder=tmp_path)
    assert (told.scores["probabilities"].argmax(axis=1) == told.scores["target"]).all()
    labels = [told.spec["classes"][index] for index in told.scores["target"]]
    assert labels == [sample.row["label"] for sample in part.test]


def test_the_majority_tells_the_class_shares_of_train_and_val(
    by_id: dict[str, Video], part: Part, tmp_path: Path
) -> None:
    told = BaselineLearner(name="majority", videos=by_id).learn(part, seed=0, folder=tmp_path)
    labels = [sample.row["label"] for sample in (*part.train, *part.val)]
    shares = [labels.count(label) / len(labels) for label in told.spec["classes"]]
    assert told.scores["probabilities"] == pytest.approx(np.tile(shares, (len(part.test), 1)))
    loss = -np.log([shares[target] for target in told.scores["target"]])
    assert told.losses == pytest.approx(loss)


@pytest.mark.parametrize("name", baselines_of("classification"))
def test_the_same_seed_tells_the_same(
    name: str, by_id: dict[str, Video], part: Part, tmp_path: Path
) -> None:
    learner = BaselineLearner(name=name, videos=by_id)
    told, again = (learner.learn(part, seed=5, folder=tmp_path) for _ in range(2))
    assert (told.scores["probabilities"] == again.scores["probabilities"]).all()


def test_an_unknown_baseline_is_named_beside_those_there_are() -> None:
    with pytest.raises(UserError, match="no baseline 'luck'; there are majority, header_only"):
        BaselineLearner(name="luck", videos={})
