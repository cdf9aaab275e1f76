"""A task's baselines as learners: what every claim must beat, on the same samples."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from videoproc.learning.learner import Part, Told
from videoproc.learning.samples import Sample
from videoproc.storage import Anywhere
from videoproc.tasks import Scores, Spec, select_task
from videoproc.types import UserError, Video


@dataclass(frozen=True, kw_only=True)
class BaselineLearner:
    """Learns from the headers of train and val, and answers for test.

    name: a baseline of the task. videos: those of the samples, by id.
    """

    name: str
    videos: Mapping[str, Video]
    task: str = "classification"

    def __post_init__(self) -> None:
        known = baselines_of(self.task)
        if self.name not in known:
            there = f"there are {', '.join(known)}" if known else f"task {self.task!r} has none"
            raise UserError(f"baseline: no baseline {self.name!r}; {there}")

    def learn(self, part: Part, *, seed: int, folder: Anywhere) -> Told:
        """As `Learner` has it; quick enough that nothing is kept in the folder."""
        del folder
        started = time.monotonic()
        learned = [*part.train, *part.val]
        spec = select_task(self.task).targets.make_spec([sample.row for sample in learned])
        scores, losses = tell(
            self.name, learned, part.test, videos=self.videos, task=self.task, spec=spec, seed=seed
        )
        return Told(spec=spec, scores=scores, losses=losses, learn_s=time.monotonic() - started)


def baselines_of(task: str) -> tuple[str, ...]:
    """The names of a task's baselines."""
    found = select_task(task)
    return tuple(found.baselines.BASELINES) if found.baselines and found.classes else ()


def tell_all(
    learned: Sequence[Sample],
    measured: Sequence[Sample],
    *,
    videos: Mapping[str, Video],
    task: str,
    spec: Spec,
    seed: int = 0,
) -> dict[str, Scores]:
    """What each of the task's baselines tells of `measured`, in their order; some of `learned` must
    have a class of `spec`."""
    told = {
        name: tell(name, learned, measured, videos=videos, task=task, spec=spec, seed=seed)
        for name in baselines_of(task)
    }
    return {name: scores for name, (scores, _) in told.items()}


def tell(
    name: str,
    learned: Sequence[Sample],
    measured: Sequence[Sample],
    *,
    videos: Mapping[str, Video],
    task: str,
    spec: Spec,
    seed: int = 0,
) -> tuple[Scores, np.ndarray]:
    """What a baseline tells of `measured`: scores and losses in their order, as a network's."""
    found = select_task(task)
    assert found.baselines is not None
    assert found.classes is not None
    probabilities = found.baselines.BASELINES[name](
        [videos[sample.row["video_id"]] for sample in learned],
        [videos[sample.row["video_id"]] for sample in measured],
        spec,
        seed,
    )
    target_b = found.classes.target_b([sample.row for sample in measured], spec)
    return found.classes.told(probabilities, target_b)
