"""Classifiers of feature vectors: support vectors, forest, nearest neighbours, boosted trees.

Each is a pipeline that standardises by what it is fitted on. Its settings are chosen among
candidates by cross-validation within the samples that it is given, no group on two sides: nothing
that it is measured on later has a say. To add one: a Config, a function that makes it, a line in
CLASSIFIERS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
import skops.io
from sklearn.base import BaseEstimator
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from videoproc.types import UserError

CLASSICAL_VERSION = 1  # raise it when the same vectors and settings come to another classifier

Folds = list[tuple[np.ndarray, np.ndarray]]

TRUSTED = (
    "sklearn.calibration._CalibratedClassifier",
    "sklearn.calibration._SigmoidCalibration",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""What a stored classifier may hold beside what skops takes from anybody."""


@dataclass(frozen=True, kw_only=True)
class SvmConfig:
    """Support vectors with a Gaussian kernel (Cortes and Vapnik 1995), classes balanced.

    Args:
        penalty: C, the cost of a sample on the wrong side.
        gamma_times: the kernel's gamma as a multiple of 1 / (number of columns).
    """

    penalty: float = 1.0
    gamma_times: float = 1.0

    def __post_init__(self) -> None:
        for name in ("penalty", "gamma_times"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)!r}: use a number above 0")


@dataclass(frozen=True, kw_only=True)
class ForestConfig:
    """A random forest (Breiman 2001), classes balanced.

    Args:
        trees: how many.
        min_samples_leaf: a leaf has at least so many samples.
        max_features: the share of columns that each node looks at; None takes the square root.
    """

    trees: int = 300
    min_samples_leaf: int = 1
    max_features: float | None = None

    def __post_init__(self) -> None:
        for name in ("trees", "min_samples_leaf"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}: use 1 or more")
        if self.max_features is not None and not 0 < self.max_features <= 1:
            raise ValueError(f"max_features is {self.max_features!r}: use a share, or None")


@dataclass(frozen=True, kw_only=True)
class NeighboursConfig:
    """The k nearest by Euclidean distance, each weighing by the inverse of its distance.

    Args:
        neighbours: k; of fewer samples all are taken.
    """

    neighbours: int = 5

    def __post_init__(self) -> None:
        if self.neighbours < 1:
            raise ValueError(f"neighbours is {self.neighbours!r}: use 1 or more")


@dataclass(frozen=True, kw_only=True)
class BoostingConfig:
    """Gradient boosting of trees over histograms (Friedman 2001; Ke 2017), classes balanced.

    Args:
        rounds: trees, one after the other.
        learning_rate: how much of each tree is taken.
        max_depth: of a tree, in splits.
        min_samples_leaf: a leaf has at least so many samples.
    """

    rounds: int = 150
    learning_rate: float = 0.1
    max_depth: int = 3
    min_samples_leaf: int = 10

    def __post_init__(self) -> None:
        for name in ("rounds", "max_depth", "min_samples_leaf"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)!r}: use 1 or more")
        if not 0 < self.learning_rate <= 1:
            raise ValueError(f"learning_rate is {self.learning_rate!r}: use a share above 0")


def make_svm(config: SvmConfig, shape: tuple[int, ...], seed: int) -> BaseEstimator:
    return SVC(
        C=config.penalty,
        gamma=config.gamma_times / shape[1],
        class_weight="balanced",
        random_state=seed,
    )


def make_forest(config: ForestConfig, _shape: tuple[int, ...], seed: int) -> BaseEstimator:
    return RandomForestClassifier(
        config.trees,
        min_samples_leaf=config.min_samples_leaf,
        max_features=config.max_features or "sqrt",
        class_weight="balanced",
        random_state=seed,
    )


def make_neighbours(config: NeighboursConfig, shape: tuple[int, ...], _seed: int) -> BaseEstimator:
    # Trees find nothing faster in hundreds of dimensions.
    return KNeighborsClassifier(
        min(config.neighbours, shape[0]), weights="distance", algorithm="brute"
    )


def make_boosting(config: BoostingConfig, _shape: tuple[int, ...], seed: int) -> BaseEstimator:
    return HistGradientBoostingClassifier(
        max_iter=config.rounds,
        learning_rate=config.learning_rate,
        max_depth=config.max_depth,
        min_samples_leaf=config.min_samples_leaf,
        early_stopping=False,  # it would hold out samples without regard to groups
        class_weight="balanced",
        random_state=seed,
    )


@dataclass(frozen=True, kw_only=True)
class Classifier:
    """A line of CLASSIFIERS. make: from a config, the shape (N, D) of what it will be fitted on,
    and a seed. candidates: what is chosen among, the most regular first."""

    config: type[Any]
    make: Callable[[Any, tuple[int, ...], int], BaseEstimator]
    candidates: tuple[Any, ...]


CLASSIFIERS: dict[str, Classifier] = {
    "svm": Classifier(
        config=SvmConfig,
        make=make_svm,
        candidates=tuple(
            SvmConfig(penalty=penalty, gamma_times=gamma_times)
            for penalty in (0.1, 1.0, 10.0)
            for gamma_times in (0.1, 1.0)
        ),
    ),
    "forest": Classifier(
        config=ForestConfig,
        make=make_forest,
        candidates=tuple(ForestConfig(min_samples_leaf=least) for least in (5, 2, 1)),
    ),
    "neighbours": Classifier(
        config=NeighboursConfig,
        make=make_neighbours,
        candidates=tuple(NeighboursConfig(neighbours=k) for k in (25, 15, 9, 5, 3)),
    ),
    "boosting": Classifier(
        config=BoostingConfig,
        make=make_boosting,
        candidates=tuple(BoostingConfig(max_depth=depth) for depth in (1, 2, 3)),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A fitted classifier. config: the chosen settings. inner_accuracy: of each candidate within
    the samples, in the order of the candidates; empty where there was nothing to choose."""

    classifier: str
    config: Any
    seed: int
    inner_accuracy: tuple[float, ...]
    estimator: BaseEstimator


def fit(
    x: np.ndarray,
    y: np.ndarray,
    groups: np.ndarray,
    *,
    classifier: str,
    candidates: Sequence[Any] | None = None,
    class_names: Sequence[str] | None = None,
    num_folds: int = 5,
    seed: int = 0,
) -> Fitted:
    """Choose settings and fit. x: (N, D) finite; y: (N,) class numbers; groups: (N,) of any kind,
    samples of one source have one group.

    class_names: by class number, for errors; by default those are told by number.
    candidates: to choose among, by default the classifier's own. The one with most samples right in
    folds by group is taken, the first of equals. Scores of support vectors become probabilities by
    Platt's sigmoid (1999), fitted on the same folds. Runs on one thread.

    Errors: UserError for a classifier that does not exist, fewer than two classes, and a class that
    only one group has.
    """
    if classifier not in CLASSIFIERS:
        known = ", ".join(CLASSIFIERS)
        raise UserError(f"classifier: no classifier {classifier!r}; there are {known}")
    folds = inner_folds(y, groups, num_folds=num_folds, seed=seed, class_names=class_names)
    tried = CLASSIFIERS[classifier].candidates if candidates is None else tuple(candidates)
    with threadpool_limits(1):  # there is a process a core already
        accuracy = tuple(
            _inner_accuracy(x, y, folds, classifier=classifier, config=config, seed=seed)
            for config in tried
            if len(tried) > 1
        )
        chosen = tried[int(np.argmax(accuracy))] if accuracy else tried[0]
        estimator = _pipeline(classifier, chosen, shape=x.shape, seed=seed)
        if not hasattr(estimator, "predict_proba"):
            estimator = CalibratedClassifierCV(
                estimator, method="sigmoid", cv=folds, ensemble=False
            )
        estimator.fit(x, y)
    return Fitted(
        classifier=classifier,
        config=chosen,
        seed=seed,
        inner_accuracy=accuracy,
        estimator=estimator,
    )


def predict_proba(fitted: Fitted, x: np.ndarray, *, num_classes: int) -> np.ndarray:
    """Probabilities (N, num_classes), float64; 0 of a class that was not there in training."""
    made = np.zeros((len(x), num_classes))
    with threadpool_limits(1):
        made[:, fitted.estimator.classes_] = fitted.estimator.predict_proba(x)
    return made


def inner_folds(
    y: np.ndarray,
    groups: np.ndarray,
    *,
    num_folds: int,
    seed: int,
    class_names: Sequence[str] | None = None,
) -> Folds:
    """(fitted on, measured on) positions of at most num_folds folds, with about the same shares of
    classes; no group is in two, and every fold is fitted on all classes."""
    groups_of = {int(c): len(np.unique(groups[y == c])) for c in np.unique(y)}
    if len(groups_of) < 2:
        raise UserError(f"labels: all {len(y)} samples are of one class; two are needed to learn")
    rarest, most = min(groups_of.items(), key=lambda item: item[1])
    for count in range(min(num_folds, most), 1, -1):
        splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
        folds = list(splitter.split(np.zeros(len(y)), y, groups))
        if all(len(np.unique(y[fitted_on])) == len(groups_of) for fitted_on, _ in folds):
            return folds
    named = rarest if class_names is None else repr(class_names[rarest])
    raise UserError(
        f"labels: class {named} is in {most} group(s), too few to leave one out when settings are "
        "chosen; give it more sources"
    )


def _pipeline(classifier: str, config: Any, *, shape: tuple[int, ...], seed: int) -> BaseEstimator:
    made = CLASSIFIERS[classifier].make(config, shape, seed)
    return make_pipeline(StandardScaler(), made)


def _inner_accuracy(
    x: np.ndarray, y: np.ndarray, folds: Folds, *, classifier: str, config: Any, seed: int
) -> float:
    hits = []
    for fitted_on, measured_on in folds:
        part = x[fitted_on]
        estimator = _pipeline(classifier, config, shape=part.shape, seed=seed)
        hits.append(estimator.fit(part, y[fitted_on]).predict(x[measured_on]) == y[measured_on])
    return float(np.concatenate(hits).mean())


def to_bytes(fitted: Fitted) -> dict[str, bytes]:
    """The files of a stored classifier, by name: a card in JSON, and the estimator as skops writes
    it: arrays and the names of known classes, no pickle."""
    card = {
        "classical_version": CLASSICAL_VERSION,
        "classifier": fitted.classifier,
        "config": asdict(fitted.config),
        "seed": fitted.seed,
        "inner_accuracy": fitted.inner_accuracy,
    }
    return {
        "classifier.json": json.dumps(card, indent=2).encode(),
        "classifier.skops": skops.io.dumps(fitted.estimator),
    }


def from_bytes(files: Mapping[str, bytes]) -> Fitted:
    """What `to_bytes` gave. Errors: UserError where the file holds what no classifier of ours is
    made of, or is no skops at all; nothing of it is run then."""
    card, content = json.loads(files["classifier.json"]), files["classifier.skops"]
    try:
        strange = set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED)
    except BadZipFile as error:
        raise UserError(
            f"classifier.skops is damaged ({error}), and no other form, such as a pickle, is read: "
            "put the file back as it was, or train anew"
        ) from error
    if strange:
        raise UserError(f"classifier.skops holds {sorted(strange)[0]}: it is not one of ours")
    return Fitted(
        classifier=card["classifier"],
        config=CLASSIFIERS[card["classifier"]].config(**card["config"]),
        seed=card["seed"],
        inner_accuracy=tuple(card["inner_accuracy"]),
        estimator=skops.io.loads(content, trusted=list(TRUSTED)),
    )
