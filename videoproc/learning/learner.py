"""What learns from samples and answers for others: a network, a classifier of features, a baseline.

A learner is a value without state, so that it can travel to the process that runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from videoproc.learning.samples import Sample
from videoproc.storage import Anywhere
from videoproc.tasks import Scores, Spec


@dataclass(frozen=True, kw_only=True)
class Part:
    """The samples of one fold: no video and no source is on two sides.

    train: to learn from. val: to choose settings, the epoch and the temperature by; who needs no
    such side learns from it too. test: to answer for; seen by nothing before.
    """

    train: Sequence[Sample]
    val: Sequence[Sample]
    test: Sequence[Sample]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a learner told of a part's test samples, in their order.

    losses: (N,) as of the task. settings: those that were chosen within the training side.
    history: metrics of each epoch. parameters: learned numbers, None where that says nothing.
    learn_s, answer_s: seconds for all of learning, and for answering for all test samples.
    """

    spec: Spec
    scores: Scores
    losses: np.ndarray
    settings: dict[str, Any] = field(default_factory=dict)
    history: Sequence[dict[str, float]] = ()
    parameters: int | None = None
    learn_s: float = 0.0
    answer_s: float = 0.0


class Learner(Protocol):
    """Errors: UserError where the samples cannot be learned from."""

    def learn(self, part: Part, *, seed: int, folder: Anywhere) -> Told:
        """Learn from a part's train (and val) and answer for its test.

        folder: of this part, learner and seed alone; what lies there from a run that was cut off
        is gone on with.
        """
