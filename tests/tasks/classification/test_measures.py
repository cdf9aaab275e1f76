from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.preprocessing import label_binarize

from videoproc.tasks import Scores
from videoproc.tasks.classification.measures import measures
from videoproc.tasks.classification.metrics import summarise

MakeScores = Callable[..., Scores]
Spec = dict[str, list[str]]


def test_macro_means_are_those_of_the_classes(make_scores: MakeScores, spec: Spec) -> None:
    found = measures(make_scores(), spec)
    for name in ("roc_auc", "average_precision"):
        mean = np.mean([found[f"{name}/{label}"] for label in spec["classes"]])
        assert found[f"{name}_macro"] == pytest.approx(mean)


@pytest.mark.parametrize("num", [40, 300])
@pytest.mark.parametrize("seed", range(3))
def test_areas_and_average_precisions_are_scikit_learns(
    make_scores: MakeScores, spec: Spec, num: int, seed: int
) -> None:
    scores = make_scores(num=num, seed=seed)
    found, told = measures(scores, spec), scores["probabilities"]
    for index, label in enumerate(spec["classes"]):
        is_class = scores["target"] == index
        assert found[f"roc_auc/{label}"] == pytest.approx(roc_auc_score(is_class, told[:, index]))
        expected = average_precision_score(is_class, told[:, index])
        assert found[f"average_precision/{label}"] == pytest.approx(expected)
    one_vs_rest = label_binarize(scores["target"], classes=range(4))
    macro = roc_auc_score(one_vs_rest, told, average="macro")
    assert found["roc_auc_macro"] == pytest.approx(macro)


def test_scores_that_are_always_right_are_perfect(spec: Spec) -> None:
    target = np.arange(8) % 4
    found = measures({"probabilities": np.eye(4)[target], "target": target}, spec)
    assert found["roc_auc_macro"] == found["average_precision_macro"] == 1
    assert found["brier"] == found["expected_calibration_error"] == 0


@pytest.mark.parametrize(("low", "high"), [(2, 3), (-1, 0)])
def test_what_one_class_cannot_tell_is_left_out(
    make_scores: MakeScores, spec: Spec, low: int, high: int
) -> None:
    found = measures(make_scores(low=low, high=high), spec)
    assert found.keys() == {"brier", "expected_calibration_error"}


def test_no_name_is_one_of_the_summarys(make_scores: MakeScores, spec: Spec) -> None:
    scores = make_scores()
    assert not measures(scores, spec).keys() & summarise(scores, spec).keys()
