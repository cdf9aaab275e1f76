"""A model that only knows the camera is found out within the cameras that see several classes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from videoproc.learning.sources import by_source, mean_recall


def answers(labels: str, told: str) -> tuple[list[str], list[bool]]:
    return list(labels), [label == answer for label, answer in zip(labels, told, strict=True)]


def test_one_answer_a_source_has_half_within_sources_however_high_its_accuracy() -> None:
    # Camera a sees nine fights and a calm, camera b the reverse.
    labels, sources = "fffffffffc" + "cccccccccf", "a" * 10 + "b" * 10
    of, right = answers(labels, "f" * 10 + "c" * 10)
    found = by_source(of, right, list(sources))
    assert np.mean(right) == found.camera_only == 0.9
    assert found.within == found.chance == 0.5
    assert "mean recall is 0.500; one answer a source has 0.500 there" in found.sentence


def test_one_that_is_always_right_is_right_within_sources_too() -> None:
    found = by_source(*answers("ffcc", "ffcc"), ["a", "b", "a", "b"])
    assert (found.camera_only, found.within) == (0.5, 1.0)
    assert found.metrics == {"camera_only_accuracy": 0.5, "within_source_accuracy": 1.0}


def test_within_is_scikit_learns_balanced_accuracy_weighted_by_samples() -> None:
    rng = np.random.default_rng(0)
    labels, told, sources = (rng.integers(0, n, 80).astype(str) for n in (3, 3, 4))
    found = by_source(list(labels), list(labels == told), list(sources))
    here = [sources == name for name in np.unique(sources)]
    expected = [balanced_accuracy_score(labels[at], told[at]) for at in here]
    assert found.within == pytest.approx(np.average(expected, weights=[at.sum() for at in here]))


def test_where_every_source_has_one_class_nothing_tells_the_model_from_its_camera() -> None:
    found = by_source(*answers("ffcc", "fffc"), ["a", "a", "b", "b"])
    assert (found.camera_only, found.within, found.several) == (1.0, None, 0)
    assert found.metrics == {"camera_only_accuracy": 1.0}
    assert "nothing tells the model from that" in found.sentence


def test_sources_of_one_class_have_no_say_within() -> None:
    found = by_source(*answers("fc" + "ff", "fc" + "cc"), ["a", "a", "b", "b"])
    assert (found.within, found.several, found.sources) == (1.0, 1, 2)


def test_mean_recall_weighs_every_label_alike() -> None:
    assert mean_recall(np.array(list("fffc")), np.array([True, True, True, False])) == 0.5
