"""What several trainings told of the same samples: each whole, and on average."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videoproc.learning.evaluate import interval
from videoproc.learning.learner import Told
from videoproc.learning.samples import Sample
from videoproc.learning.scored import Scored, select
from videoproc.tasks import Scores, Spec, Task

FOLDS = "folds"
"""What a cross-validation's metrics and files are named by, where an evaluation names its split."""

FURTHER = f"{FOLDS}/further.json"
"""The names of the tables of scores of all its seeds and repeats but the first."""


def pool(parts: Sequence[tuple[Sequence[Sample], Told]]) -> tuple[list[Sample], Scores, np.ndarray]:
    """The samples that each fold has tested, with scores and losses, as one list by clip id."""
    samples = [sample for tested, _ in parts for sample in tested]
    order = np.argsort([sample.row["clip_id"] for sample in samples])
    names = parts[0][1].scores
    scores = {name: np.concatenate([told.scores[name] for _, told in parts]) for name in names}
    losses = np.concatenate([told.losses for _, told in parts])
    return [samples[index] for index in order], select(scores, order), losses[order]


def mean_intervals(sets: Sequence[Scored], task: Task) -> dict[str, float]:
    """The bounds of the monitored metric's mean over sets of the same samples, in one order.

    Sources are drawn once for all sets: it says how other sources would change the mean, not how
    other seeds would. Empty where there is one source only.
    """
    first, monitor = sets[0], task.metrics.MONITOR
    found = _named(monitor, _bounds([s.scores for s in sets], first.sources, first.spec, task))
    if task.videos:
        video_b = np.unique([row["video_id"] for row in first.about], return_inverse=True)[1]
        source_of = dict(zip(video_b, first.sources, strict=True))
        sources = [source_of[video] for video in range(len(source_of))]
        of_videos = [task.videos.of_videos(scored.scores, video_b) for scored in sets]
        found |= _named(f"video_{monitor}", _bounds(of_videos, sources, first.spec, task))
    return found


def _bounds(
    sets: Sequence[Scores], sources: Sequence[str], spec: Spec, task: Task
) -> tuple[float, float] | None:
    monitor = task.metrics.MONITOR

    def mean(indices: np.ndarray) -> float:
        values = [task.metrics.summarise(select(s, indices), spec)[monitor] for s in sets]
        return float(np.mean(values))

    return interval(mean, groups=sources)


def _named(name: str, between: tuple[float, float] | None) -> dict[str, float]:
    return {f"{name}_low": between[0], f"{name}_high": between[1]} if between else {}
