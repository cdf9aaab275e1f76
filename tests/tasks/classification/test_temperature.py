"""One number sets probabilities right, and changes no answer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from videoproc.tasks import Scores
from videoproc.tasks.classification import temperature

MakeScores = Callable[..., Scores]


def drawn(*, overconfidence: float, num: int = 4000, seed: int = 0) -> Scores:
    """Targets drawn from a softmax of logits; told is that of logits times `overconfidence`."""
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 1.5, (num, 3)))
    truth = logits.softmax(dim=1).numpy()
    target = (truth.cumsum(axis=1) > rng.random((num, 1))).argmax(axis=1)
    told = (logits * overconfidence).softmax(dim=1)
    return {"probabilities": told.float().numpy(), "target": target}


@pytest.mark.parametrize("overconfidence", [0.4, 1.0, 2.5])
def test_what_logits_were_multiplied_by_is_found_again(overconfidence: float) -> None:
    found = temperature.fit(drawn(overconfidence=overconfidence))
    assert found == pytest.approx(overconfidence, rel=0.07)


def test_scaling_is_the_softmax_of_logits_divided_by_the_temperature() -> None:
    logits = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    scores = {"probabilities": logits.softmax(dim=1).numpy(), "target": np.zeros(50, np.int64)}
    scaled = temperature.scale(scores, 1.7)
    expected = (logits / 1.7).softmax(dim=1).numpy()
    np.testing.assert_allclose(scaled["probabilities"], expected, rtol=1e-4)
    assert scaled["target"] is scores["target"]


@given(st.integers(0, 2**32 - 1), st.floats(temperature.LOWEST, temperature.HIGHEST))
def test_no_answer_changes(seed: int, value: float) -> None:
    rng = np.random.default_rng(seed)
    # Some are all but equal, some are certain.
    told = rng.dirichlet([rng.choice([0.01, 1.0, 1e6])] * 4, 8).astype(np.float32)
    scaled = temperature.scale({"probabilities": told, "target": np.zeros(8, int)}, value)
    assert (scaled["probabilities"].argmax(axis=1) == told.argmax(axis=1)).all()
    assert scaled["probabilities"].sum(axis=1) == pytest.approx(np.ones(8))


def test_the_fitted_temperature_lowers_loss_and_calibration_error_of_the_overconfident() -> None:
    val, test = (drawn(overconfidence=3.0, seed=seed) for seed in (1, 2))
    fitted = temperature.fit(val)
    assert fitted is not None
    before, after = (temperature.measures(temperature.scale(test, t)) for t in (1.0, fitted))
    assert after["loss_scaled"] < before["loss_scaled"]
    assert after["brier_scaled"] < before["brier_scaled"]
    assert after["expected_calibration_error_scaled"] < 0.03
    assert before["expected_calibration_error_scaled"] > 0.1


def test_loss_and_brier_score_are_scikit_learns(make_scores: MakeScores) -> None:
    scaled = temperature.scale(make_scores(), 2.0)
    found, told = temperature.measures(scaled), scaled["probabilities"]
    assert found["loss_scaled"] == pytest.approx(log_loss(scaled["target"], told, labels=range(4)))
    expected = brier_score_loss(scaled["target"], told, labels=range(4), scale_by_half=False)
    assert found["brier_scaled"] == pytest.approx(expected)


def test_of_too_few_samples_there_is_none(make_scores: MakeScores) -> None:
    assert temperature.fit(make_scores(num=temperature.MIN_SAMPLES - 1)) is None
    assert temperature.fit(make_scores(num=50, low=-1, high=0)) is None
    assert temperature.fit(make_scores(num=temperature.MIN_SAMPLES)) is not None


@pytest.mark.parametrize(("right", "low", "high"), [(True, 0.05, 0.1), (False, 19.0, 20.0)])
def test_where_all_is_right_or_wrong_it_stays_within_bounds(
    right: bool, low: float, high: float
) -> None:
    told = np.tile(np.array([0.9, 0.1], np.float32), (30, 1))
    target = np.full(30, 0 if right else 1)
    found = temperature.fit({"probabilities": told, "target": target})
    assert found is not None
    assert low <= found <= high


def test_zeros_of_a_forest_have_a_finite_loss() -> None:
    told = np.tile(np.array([1.0, 0.0], np.float32), (30, 1))
    scores = {"probabilities": told, "target": np.arange(30) % 2}
    found = temperature.fit(scores)
    assert found == pytest.approx(temperature.HIGHEST, rel=0.1)
    assert np.isfinite(temperature.measures(temperature.scale(scores, 1.0))["loss_scaled"])


def test_the_picture_shows_both(make_scores: MakeScores) -> None:
    scores = make_scores()
    figure = temperature.plots(scores, temperature.scale(scores, 2.0), 2.0)["calibration.png"]
    upper = figure.axes[0]
    assert "at temperature 2.00" in [line.get_label() for line in upper.get_lines()]
    assert upper.get_title().count("0.") == 2
