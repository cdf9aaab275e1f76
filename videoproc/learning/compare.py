"""Two models on the same samples: how much they differ, whether that is shown, and where."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from videoproc.learning.evaluate import members, paired_interval
from videoproc.learning.scored import Scored, select, span_of
from videoproc.tasks import Answer, Scores, Spec, Task
from videoproc.types import Row


@dataclass(frozen=True, kw_only=True)
class Pair:
    """What two models told of the same samples, in the same order, and what is left out: samples
    that one of them alone was measured on, and those whose label was another then.

    more_a, more_b: what further trainings told of the same samples in that order: metrics are then
    means over all of a model's.
    """

    a: Scored
    b: Scored
    only_a: int
    only_b: int
    relabelled: int
    more_a: Sequence[Scored] = ()
    more_b: Sequence[Scored] = ()

    @property
    def is_whole(self) -> bool:
        return not (self.only_a or self.only_b or self.relabelled)


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A metric of both models; low and high bound b - a, or are None where nothing can be said."""

    name: str
    a: float
    b: float
    low: float | None
    high: float | None

    @property
    def is_shown(self) -> bool:
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


@dataclass(frozen=True, kw_only=True)
class Disagreement:
    """A sample that one model gets right and the other wrong."""

    about: Row
    source: str
    a: Answer
    b: Answer

    @property
    def decisiveness(self) -> float:
        """How sure both were, 0 to 2."""
        return self.a.confidence + self.b.confidence


def pair(
    a: Scored, b: Scored, *, more_a: Sequence[Scored] = (), more_b: Sequence[Scored] = ()
) -> Pair:
    """The samples of both: the same span of the same video under the same label.

    more_a, more_b: of further trainings, with the samples of a and of b in their order.
    Not the same clip id: models that take other frames, or another size, are told of other clips
    of one span.
    """
    places_a, places_b = _places(a), _places(b)
    common = [place for place in places_a if place in places_b]
    same = [
        place
        for place in common
        if a.about[places_a[place]]["label"] == b.about[places_b[place]]["label"]
    ]
    in_a = np.array([places_a[place] for place in same], np.int64)
    in_b = np.array([places_b[place] for place in same], np.int64)
    return Pair(
        a=a.take(in_a),
        b=b.take(in_b),
        more_a=[scored.take(in_a) for scored in more_a],
        more_b=[scored.take(in_b) for scored in more_b],
        only_a=len(places_a) - len(common),
        only_b=len(places_b) - len(common),
        relabelled=len(common) - len(same),
    )


def _places(scored: Scored) -> dict[tuple[str, float, float], int]:
    return {span_of(row): index for index, row in enumerate(scored.about)}


def differences(found: Pair, task: Task) -> list[Difference]:
    """Each metric that is not of one class only, the monitored one first, then the loss, then
    the monitored one of whole videos where these have several clips."""
    a, b, monitor = found.a, found.b, task.metrics.MONITOR
    all_a, all_b = [a, *found.more_a], [b, *found.more_b]
    shared = _summary(a, task).keys() & _summary(b, task).keys()
    names = sorted((n for n in shared if "/" not in n), key=lambda n: (n != monitor, n))

    def numbers_of(sets: Sequence[Scored]) -> Callable[[np.ndarray], np.ndarray]:
        def numbers(scored: Scored, indices: np.ndarray) -> np.ndarray:
            summary = task.metrics.summarise(select(scored.scores, indices), scored.spec)
            return np.array([*(summary[n] for n in names), scored.losses[indices].mean()])

        return lambda indices: np.mean([numbers(one, indices) for one in sets], axis=0)

    all_samples = np.arange(len(a.about))
    compared = _compare(
        [*names, "loss"],
        numbers_of(all_a),
        numbers_of(all_b),
        all_samples=all_samples,
        groups=a.sources,
    )
    first, video_b = np.unique(
        [row["video_id"] for row in a.about], return_index=True, return_inverse=True
    )[1:]
    if task.videos and len(first) < len(a.about):
        by_video_a, by_video_b = (
            [task.videos.of_videos(scored.scores, video_b) for scored in sets]
            for sets in (all_a, all_b)
        )
        compared += _compare(
            [f"video_{monitor}"],
            _monitored(by_video_a, a.spec, task),
            _monitored(by_video_b, b.spec, task),
            all_samples=np.arange(len(first)),
            groups=[a.sources[index] for index in first],
        )
    return compared


def _summary(scored: Scored, task: Task) -> dict[str, float]:
    return task.metrics.summarise(scored.scores, scored.spec)


def _monitored(
    sets: Sequence[Scores], spec: Spec, task: Task
) -> Callable[[np.ndarray], np.ndarray]:
    def monitored(indices: np.ndarray) -> np.ndarray:
        summaries = [task.metrics.summarise(select(scores, indices), spec) for scores in sets]
        return np.array([np.mean([summary[task.metrics.MONITOR] for summary in summaries])])

    return monitored


def _compare(
    names: Sequence[str],
    numbers_a: Callable[[np.ndarray], np.ndarray],
    numbers_b: Callable[[np.ndarray], np.ndarray],
    *,
    all_samples: np.ndarray,
    groups: Sequence[str],
) -> list[Difference]:
    between = paired_interval(numbers_a, numbers_b, groups=groups)
    values_a, values_b = numbers_a(all_samples), numbers_b(all_samples)
    return [
        Difference(
            name=name,
            a=float(values_a[i]),
            b=float(values_b[i]),
            low=None if between is None else float(between[0][i]),
            high=None if between is None else float(between[1][i]),
        )
        for i, name in enumerate(names)
    ]


def disagreements(found: Pair, task: Task) -> tuple[list[Disagreement], list[Disagreement]]:
    """What a alone gets right and what b alone gets right, sources with most of them first, and
    of one source the most decisive first. The task must have `mistakes`."""
    assert task.mistakes is not None
    answers_a = task.mistakes.answers(found.a.scores, found.a.spec)
    answers_b = task.mistakes.answers(found.b.scores, found.b.spec)
    split = [
        Disagreement(about=about, source=source, a=a, b=b)
        for about, source, a, b in zip(
            found.a.about, found.a.sources, answers_a, answers_b, strict=True
        )
        if a.is_right != b.is_right
    ]
    return _in_order([d for d in split if d.a.is_right]), _in_order(
        [d for d in split if d.b.is_right]
    )


def _in_order(split: Sequence[Disagreement]) -> list[Disagreement]:
    count = {source: len(found) for source, found in members([d.source for d in split]).items()}
    return sorted(split, key=lambda d: (-count[d.source], d.source, -d.decisiveness))
