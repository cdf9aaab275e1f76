"""Several models' probabilities as one."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss

from videoproc.tasks.classification import classes
from videoproc.tasks.classification.ensemble import rows, together


def told(seed: int, *, num: int = 30, classes: int = 3) -> dict[str, np.ndarray]:
    probabilities = np.random.default_rng(seed).dirichlet(np.ones(classes), num)
    return {"probabilities": probabilities.astype(np.float32), "target": np.arange(num) % classes}


def test_probabilities_are_means_with_the_same_weight_for_each_model() -> None:
    models = [told(seed) for seed in range(3)]
    scores, _ = together(models)
    expected = sum(one["probabilities"].astype(float) for one in models) / 3
    assert scores["probabilities"] == pytest.approx(expected, abs=1e-7)
    assert scores["probabilities"].dtype == np.float32
    assert np.array_equal(scores["target"], models[0]["target"])


def test_losses_are_the_cross_entropy_of_the_means() -> None:
    scores, losses = together([told(0), told(1)])
    of_both = scores["probabilities"].astype(float)
    expected = log_loss(scores["target"], of_both / of_both.sum(axis=1, keepdims=True))
    assert losses.mean() == pytest.approx(expected, rel=1e-5)


def test_a_class_that_was_not_seen_in_training_costs_no_loss() -> None:
    unseen = [one | {"target": np.full(30, -1)} for one in (told(0), told(1))]
    assert together(unseen)[1].tolist() == [0.0] * 30


def test_rows_say_what_scores_of_the_same_answers_do() -> None:
    spec = {"classes": ["a", "b", "c"]}
    models = [told(seed)["probabilities"] for seed in range(3)]
    made = rows([classes.rows(probabilities, spec) for probabilities in models], spec)
    expected = sum(probabilities.astype(float) for probabilities in models) / 3
    assert [row["probabilities"] for row in made] == [
        pytest.approx(row, abs=1e-7) for row in expected.tolist()
    ]
    assert [row["label"] for row in made] == ["abc"[k] for k in expected.argmax(axis=1)]
    assert [row["probability"] for row in made] == [max(row["probabilities"]) for row in made]
