"""Classifiers of vectors learn, choose within their samples by group, and come back as stored."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import skops.io
from sklearn.base import BaseEstimator

from videoproc.learning.classical import (
    CLASSIFIERS,
    BoostingConfig,
    ForestConfig,
    NeighboursConfig,
    SvmConfig,
    fit,
    from_bytes,
    inner_folds,
    predict_proba,
    to_bytes,
)
from videoproc.types import UserError

QUICK = {
    "svm": [SvmConfig()],
    "forest": [ForestConfig(trees=30)],
    "neighbours": [NeighboursConfig()],
    "boosting": [BoostingConfig(rounds=20, max_depth=2, min_samples_leaf=2)],
}


class Foreign(BaseEstimator):
    """Somebody else's estimator."""


@pytest.fixture
def samples():
    """Three classes around three points, four samples a group."""
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    x = rng.normal(0, 0.3, (60, 5)) + np.eye(3, 5)[y] * 2
    return x, y, np.arange(60) // 4


def test_each_has_quick_settings_here():
    assert set(QUICK) == set(CLASSIFIERS)


@pytest.mark.parametrize("name", CLASSIFIERS)
class TestEveryClassifier:
    def test_tells_classes_apart_that_it_has_not_seen_samples_of(self, name, samples):
        x, y, groups = samples
        seen = groups < 10
        fitted = fit(x[seen], y[seen], groups[seen], classifier=name, candidates=QUICK[name])
        probability = predict_proba(fitted, x[~seen], num_classes=3)
        assert probability.sum(axis=1) == pytest.approx(np.ones(len(probability)))
        assert (probability.argmax(axis=1) == y[~seen]).mean() >= 0.9

    def test_comes_to_the_same_from_the_same_seed(self, name, samples):
        first, again = (
            predict_proba(
                fit(*samples, classifier=name, candidates=QUICK[name], seed=3),
                samples[0],
                num_classes=3,
            )
            for _ in range(2)
        )
        assert (first == again).all()

    def test_a_column_in_other_units_changes_nothing(self, name, samples):
        x, y, groups = samples
        other = x * [1.0, 1024.0, 1.0, 1.0, 1 / 1024] + [0, 4096.0, 0, 0, 0]
        told = [
            predict_proba(
                fit(of, y, groups, classifier=name, candidates=QUICK[name]), of, num_classes=3
            )
            for of in (x, other)
        ]
        assert told[1] == pytest.approx(told[0], abs=1e-3)

    def test_a_class_that_was_not_there_has_no_probability(self, name, samples):
        x, y, groups = samples
        there = y != 1
        fitted = fit(x[there], y[there], groups[there], classifier=name, candidates=QUICK[name])
        probability = predict_proba(fitted, x, num_classes=4)
        assert not probability[:, [1, 3]].any()

    def test_what_is_stored_comes_back_equal(self, name, samples):
        fitted = fit(*samples, classifier=name, candidates=QUICK[name])
        back = from_bytes(to_bytes(fitted))
        assert (back.classifier, back.config, back.seed) == (name, QUICK[name][0], 0)
        told, again = (predict_proba(one, samples[0], num_classes=3) for one in (fitted, back))
        assert (told == again).all()

    def test_takes_fewer_samples_than_its_settings_like(self, name, samples):
        x, y, _ = samples
        tried = CLASSIFIERS[name].candidates
        if name == "forest":
            tried = tuple(replace(config, trees=5) for config in tried)
        fitted = fit(x[:9], y[:9], np.arange(9), classifier=name, candidates=tried)
        assert predict_proba(fitted, x, num_classes=3).shape == (60, 3)
        assert len(fitted.inner_accuracy) == len(tried)


def test_the_candidate_with_most_right_in_folds_by_group_is_chosen():
    # Each group lies on a point of its own, its class by lot: who knows the group knows nothing.
    rng = np.random.default_rng(1)
    groups = np.arange(90) // 3
    y = rng.permutation(np.arange(30) % 2)[groups]
    x = rng.normal(0, 3, (30, 4))[groups] + rng.normal(0, 0.01, (90, 4))
    tried = [NeighboursConfig(neighbours=k) for k in (1, 9, 30)]
    by_group = fit(x, y, groups, classifier="neighbours", candidates=tried)
    alone = fit(x, y, np.arange(90), classifier="neighbours", candidates=tried)
    assert alone.inner_accuracy[0] > 0.9  # most samples have a twin on the other side
    assert max(by_group.inner_accuracy) < 0.75
    assert by_group.config == tried[int(np.argmax(by_group.inner_accuracy))]


def test_of_equal_candidates_the_first_is_chosen(samples):
    tried = [NeighboursConfig(neighbours=k) for k in (5, 3)]
    fitted = fit(*samples, classifier="neighbours", candidates=tried)
    assert fitted.inner_accuracy == (1, 1)
    assert fitted.config == tried[0]


def test_no_group_is_on_two_sides_and_each_sample_is_measured_once(samples):
    _, y, groups = samples
    folds = inner_folds(y, groups, num_folds=5, seed=0)
    assert len(folds) == 5
    for fitted_on, measured_on in folds:
        assert not set(groups[fitted_on]) & set(groups[measured_on])
    measured = np.concatenate([measured_on for _, measured_on in folds])
    assert sorted(measured) == list(range(60))


def test_there_are_as_many_folds_as_the_rarest_class_has_groups():
    y, groups = np.array([0] * 20 + [1] * 4), np.array([*range(20), 20, 20, 21, 22])
    assert len(inner_folds(y, groups, num_folds=5, seed=0)) == 3


@pytest.mark.parametrize(
    ("y", "groups", "said"),
    [
        ([0, 0, 0, 0], [0, 1, 2, 3], "all 4 samples are of one class"),
        ([0, 0, 1, 1], [0, 1, 2, 2], r"class 'run' is in 1 group\(s\), too few"),
    ],
)
def test_labels_that_nothing_can_be_chosen_by_are_refused(y, groups, said):
    with pytest.raises(UserError, match=said):
        fit(
            np.zeros((4, 2)),
            np.array(y),
            np.array(groups),
            classifier="forest",
            class_names=["walk", "run"],
        )


def test_an_unknown_classifier_is_named_beside_those_there_are(samples):
    with pytest.raises(UserError, match="no classifier 'xgb'; there are svm, forest, neighbours"):
        fit(*samples, classifier="xgb")


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        (SvmConfig, {"penalty": 0}),
        (SvmConfig, {"gamma_times": -1}),
        (ForestConfig, {"trees": 0}),
        (ForestConfig, {"max_features": 1.5}),
        (NeighboursConfig, {"neighbours": 0}),
        (BoostingConfig, {"learning_rate": 0}),
        (BoostingConfig, {"max_depth": 0}),
    ],
)
def test_a_wrong_setting_is_named(config, settings):
    with pytest.raises(ValueError, match=rf"{next(iter(settings))} is .*: use"):
        config(**settings)


def test_a_file_of_something_else_is_refused(samples):
    files = to_bytes(fit(*samples, classifier="neighbours", candidates=[NeighboursConfig()]))
    with pytest.raises(UserError, match=r"Foreign: it is not one of ours"):
        from_bytes(files | {"classifier.skops": skops.io.dumps(Foreign())})
    with pytest.raises(UserError, match=r"classifier\.skops is damaged .*, such as a pickle, is"):
        from_bytes(files | {"classifier.skops": pickle.dumps(Foreign())})
