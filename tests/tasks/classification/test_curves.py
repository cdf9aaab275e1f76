from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from videoproc.tasks import Scores
from videoproc.tasks.classification.curves import precision_recall_curves, roc_curves

MakeScores = Callable[..., Scores]
Spec = dict[str, list[str]]


@pytest.mark.parametrize("num", [30, 200])
def test_the_area_under_each_roc_curve_is_mann_and_whitneys_statistic(
    make_scores: MakeScores, spec: Spec, num: int
) -> None:
    scores = make_scores(num=num)
    curves = roc_curves(scores, spec)
    assert [curve.label for curve in curves] == spec["classes"]
    for index, curve in enumerate(curves):
        probability, is_class = scores["probabilities"][:, index], scores["target"] == index
        found = mannwhitneyu(probability[is_class], probability[~is_class])
        assert curve.value == pytest.approx(found.statistic / (is_class.sum() * (~is_class).sum()))


def test_average_precision_is_the_mean_precision_at_each_clip_of_the_class(
    make_scores: MakeScores, spec: Spec
) -> None:
    scores = make_scores()
    for index, curve in enumerate(precision_recall_curves(scores, spec)):
        ranked = scores["target"][np.argsort(-scores["probabilities"][:, index])] == index
        precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
        assert curve.value == pytest.approx(precision[ranked].mean())


def test_a_roc_curve_goes_from_corner_to_corner(make_scores: MakeScores, spec: Spec) -> None:
    for curve in roc_curves(make_scores(), spec):
        assert (curve.x[0], curve.y[0], curve.x[-1], curve.y[-1]) == (0, 0, 1, 1)


@pytest.mark.parametrize("curves", [roc_curves, precision_recall_curves])
def test_a_class_without_a_clip_has_no_curve(
    make_scores: MakeScores, spec: Spec, curves: Callable
) -> None:
    found = curves(make_scores(high=3), spec)
    assert [curve.label for curve in found] == spec["classes"][:3]


@pytest.mark.parametrize("curves", [roc_curves, precision_recall_curves])
def test_one_class_alone_has_no_curve(
    make_scores: MakeScores, spec: Spec, curves: Callable
) -> None:
    assert curves(make_scores(low=2, high=3), spec) == []


def test_clips_of_an_unseen_class_are_of_the_rest(make_scores: MakeScores, spec: Spec) -> None:
    only_walk = make_scores(low=3, high=4, num=5)
    unseen = only_walk | {"target": np.array([3, 3, -1, -1, -1])}
    assert [curve.label for curve in roc_curves(unseen, spec)] == ["walk"]
