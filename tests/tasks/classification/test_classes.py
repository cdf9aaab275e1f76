"""Probabilities of what is no network become the scores and losses that a network would have."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from videoproc.tasks import Scores
from videoproc.tasks.classification import classes, loss, metrics

MakeScores = Callable[..., Scores]


def test_they_are_those_of_a_network_with_these_logits(make_scores: MakeScores) -> None:
    made = make_scores(low=-1)
    logits, target = torch.from_numpy(np.log(made["probabilities"])), made["target"]
    batch = {"target": torch.from_numpy(target)}
    scores, losses = classes.told(made["probabilities"].astype(np.float64), target)
    for name, expected in metrics.scores(logits, batch).items():
        assert scores[name].dtype == expected.numpy().dtype
        np.testing.assert_allclose(scores[name], expected.numpy(), rtol=1e-5)
    np.testing.assert_allclose(losses, loss.loss_b(logits, batch).numpy(), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("num", [1, 60])
def test_the_mean_loss_is_scikit_learns(make_scores: MakeScores, num: int) -> None:
    made = make_scores(num=num)
    told = made["probabilities"].astype(np.float64)
    _, losses = classes.told(told, made["target"])
    told /= told.sum(axis=1, keepdims=True)
    expected = log_loss(made["target"], told, labels=range(4))
    assert losses.mean() == pytest.approx(expected, rel=1e-5)


def test_a_probability_of_nothing_has_a_finite_loss_as_scikit_learns() -> None:
    told = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    _, losses = classes.told(told, np.array([0, 0]))
    assert losses.mean() == pytest.approx(log_loss([0, 0], told, labels=[0, 1]), rel=1e-6)


def test_classes_are_numbered_as_they_stand_in_the_spec() -> None:
    rows = [{"label": label} for label in ("walk", "run", "fly")]
    assert classes.target_b(rows, {"classes": ["run", "walk"]}).tolist() == [1, 0, -1]
