"""Whether a model knows more than where a sample is from.

A model that only knows the camera tells one class a source. Where sources have mostly one class
each, its accuracy is high all the same; within the sources of several classes it finds one class
whole and the others not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from videoproc.learning.evaluate import members


@dataclass(frozen=True, kw_only=True)
class BySource:
    """What a source tells, and what a model knows beyond.

    camera_only: the accuracy of the best answer that is one class a source, chosen with the labels
    in sight: what knowing the camera alone could reach on these samples.
    within: the mean recall of the classes in a source, over the sources that have several, weighted
    by samples. chance: what a model comes to there that tells one class a source. Both are None
    where every source has one class. sources, several: how many there are, and have several.
    """

    camera_only: float
    within: float | None
    chance: float | None
    sources: int
    several: int

    @property
    def metrics(self) -> dict[str, float]:
        """camera_only_accuracy and, if it can be told, within_source_accuracy."""
        found = {"camera_only_accuracy": self.camera_only}
        return found if self.within is None else found | {"within_source_accuracy": self.within}

    @property
    def sentence(self) -> str:
        """Both in words."""
        known = f"One answer a source could reach an accuracy of {self.camera_only:.3f}"
        if self.within is None:
            return f"{known}; no source has several labels, so nothing tells the model from that."
        return (
            f"{known}. Within the {self.several} of {self.sources} sources that have several "
            f"labels the mean recall is {self.within:.3f}; one answer a source has "
            f"{self.chance:.3f} there."
        )


def by_source(labels: Sequence[str], is_right: Sequence[bool], sources: Sequence[str]) -> BySource:
    """labels, is_right, sources: (N,) the true class, whether it was told, where it is from."""
    right = np.asarray(is_right, bool)
    parts = [(np.array([labels[i] for i in at]), right[at]) for at in members(sources).values()]
    several = [(of, hits) for of, hits in parts if len(set(of)) > 1]
    weights = [len(of) for of, _ in several]
    return BySource(
        camera_only=sum(max(Counter(of).values()) for of, _ in parts) / len(right),
        within=_mean([mean_recall(of, hits) for of, hits in several], weights),
        chance=_mean([1 / len(set(of)) for of, _ in several], weights),
        sources=len(parts),
        several=len(several),
    )


def mean_recall(labels: np.ndarray, is_right: np.ndarray) -> float:
    """The share that is right of each label that is there, averaged over labels: balanced
    accuracy."""
    return float(np.mean([is_right[labels == label].mean() for label in np.unique(labels)]))


def _mean(values: Sequence[float], weights: Sequence[int]) -> float | None:
    return float(np.average(values, weights=weights)) if values else None
