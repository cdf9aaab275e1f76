"""Against scikit-learn."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    precision_recall_fscore_support,
)

from videoproc.tasks import Scores
from videoproc.tasks.classification import metrics

MakeScores = Callable[..., Scores]


def reference(scores: Scores, *, average: str | None) -> list[np.ndarray]:
    found = precision_recall_fscore_support(
        scores["target"],
        scores["probabilities"].argmax(axis=1),
        labels=range(scores["probabilities"].shape[1]),
        average=average,
        zero_division=0,
    )
    return list(found[:3])


# Few samples leave classes without a sample or without a prediction.
@pytest.mark.parametrize("num", [1, 3, 10, 200])
@pytest.mark.parametrize("seed", range(5))
def test_precision_recall_and_f1_of_each_class_are_scikit_learns(
    make_scores: MakeScores, spec: dict[str, list[str]], num: int, seed: int
) -> None:
    scores = make_scores(num=num, seed=seed)
    summary = metrics.summarise(scores, spec)
    for name, expected in zip(
        ("precision", "recall", "f1"), reference(scores, average=None), strict=True
    ):
        np.testing.assert_allclose([summary[f"{name}/{c}"] for c in spec["classes"]], expected)


@pytest.mark.parametrize("num", [1, 3, 10, 200])
def test_macro_means_are_scikit_learns(
    make_scores: MakeScores, spec: dict[str, list[str]], num: int
) -> None:
    scores = make_scores(num=num)
    summary = metrics.summarise(scores, spec)
    names = ("precision_macro", "recall_macro", "f1_macro")
    np.testing.assert_allclose(
        [summary[name] for name in names], reference(scores, average="macro")
    )


def test_accuracy_is_scikit_learns(make_scores: MakeScores, spec: dict[str, list[str]]) -> None:
    scores = make_scores()
    expected = accuracy_score(scores["target"], scores["probabilities"].argmax(axis=1))
    assert metrics.summarise(scores, spec)["accuracy"] == pytest.approx(expected)


def test_the_confusion_matrix_is_scikit_learns(
    make_scores: MakeScores, spec: dict[str, list[str]]
) -> None:
    scores = make_scores(high=3)  # the last class has no sample, but predictions
    expected = confusion_matrix(
        scores["target"], scores["probabilities"].argmax(axis=1), labels=range(4)
    )
    assert np.array_equal(metrics.confusion_matrix(scores, spec), expected)


def test_labels_unseen_in_training_count_as_wrong(
    make_scores: MakeScores, spec: dict[str, list[str]]
) -> None:
    scores = make_scores(low=-1)
    expected = accuracy_score(scores["target"], scores["probabilities"].argmax(axis=1))
    assert (scores["target"] == -1).any()
    assert metrics.summarise(scores, spec)["accuracy"] == pytest.approx(expected)


def test_scores_are_probabilities_in_full_precision_beside_the_targets() -> None:
    logits, target = torch.randn(5, 4).bfloat16(), torch.arange(5) % 4
    scores = metrics.scores(logits, {"target": target})
    assert scores["probabilities"].dtype == torch.float32
    torch.testing.assert_close(scores["probabilities"].sum(dim=1), torch.ones(5))
    assert scores["target"].equal(target)
