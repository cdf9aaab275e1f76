from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from videoproc.tasks import Scores
from videoproc.tasks.classification.calibration import (
    BINS,
    brier_score,
    expected_calibration_error,
    reliability,
)

MakeScores = Callable[..., Scores]


def told(confidence: list[float], right: list[bool]) -> Scores:
    """Scores of two classes, the first told always."""
    first = np.array(confidence)
    target = np.where(right, 0, 1)
    return {"probabilities": np.stack([first, 1 - first], axis=1), "target": target}


@pytest.mark.parametrize("num", [1, 60, 500])
def test_bins_hold_scikit_learns_accuracies_and_confidences(
    make_scores: MakeScores, num: int
) -> None:
    scores = make_scores(num=num)
    found = reliability(scores)
    right = scores["probabilities"].argmax(axis=1) == scores["target"]
    accuracy, confidence = calibration_curve(
        right, scores["probabilities"].max(axis=1), n_bins=BINS
    )
    used = found.count > 0
    np.testing.assert_allclose(found.accuracy[used], accuracy)
    np.testing.assert_allclose(found.confidence[used], confidence, rtol=1e-6)
    assert found.count.sum() == num


def test_probabilities_that_hold_have_no_calibration_error() -> None:
    scores = told([0.8] * 5 + [0.6] * 5, [True] * 4 + [False] + [True] * 3 + [False] * 2)
    assert expected_calibration_error(reliability(scores)) == pytest.approx(0)


def test_the_calibration_error_is_the_gap_weighted_by_clips() -> None:
    # 4 clips told with 0.95, half of them right; 1 clip told with 0.55, right.
    scores = told([0.95] * 4 + [0.55], [True, True, False, False, True])
    expected = (4 * 0.45 + 1 * 0.45) / 5
    assert expected_calibration_error(reliability(scores)) == pytest.approx(expected)


@pytest.mark.parametrize("confidence", [0.5, 0.7, 1.0])
def test_a_confidence_on_an_edge_is_counted_once(confidence: float) -> None:
    assert reliability(told([confidence], [True])).count.sum() == 1


@pytest.mark.parametrize("num", [1, 60])
def test_the_brier_score_is_scikit_learns(make_scores: MakeScores, num: int) -> None:
    scores = make_scores(num=num)
    expected = brier_score_loss(
        scores["target"], scores["probabilities"], labels=range(4), scale_by_half=False
    )
    assert brier_score(scores) == pytest.approx(expected, rel=1e-5)


def test_a_class_not_seen_in_training_is_never_told_right(make_scores: MakeScores) -> None:
    found = reliability(make_scores(low=-1, high=0))
    assert found.accuracy[found.count > 0].max() == 0
