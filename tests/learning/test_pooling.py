"""What several trainings told of the same samples, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.learning.evaluate import interval
from videoproc.learning.learner import Told
from videoproc.learning.pooling import mean_intervals, pool
from videoproc.learning.samples import Sample
from videoproc.learning.scored import Scored
from videoproc.tables.clip_reader import Place
from videoproc.tasks import select_task

TASK = select_task("classification")
SPEC = {"classes": ["run", "walk"]}


def sample(clip_id: str) -> Sample:
    return Sample(place=Place("nowhere", 0, 0), row={"clip_id": clip_id})  # type: ignore[arg-type]


def told(losses: list[float]) -> Told:
    return Told(spec=SPEC, scores={"told": np.array(losses) * 10}, losses=np.array(losses))


def scored(right: np.ndarray, *, groups: list[str]) -> Scored:
    """Of class walk, one clip a video, each answered rightly or not."""
    probabilities = np.stack([1.0 - right, right], axis=1).astype(np.float32)
    about = [
        {"clip_id": f"c{i:02}", "video_id": f"v{i:02}", "uri": f"{i}.mp4", "group": group}
        for i, group in enumerate(groups)
    ]
    return Scored(
        task="classification",
        spec=SPEC,
        about=about,
        scores={"probabilities": probabilities, "target": np.ones(len(right), np.int64)},
        losses=np.zeros(len(right)),
    )


def test_folds_are_put_together_by_clip_id() -> None:
    parts = [([sample("c"), sample("a")], told([3, 1])), ([sample("b")], told([2]))]
    samples, scores, losses = pool(parts)
    assert [one.row["clip_id"] for one in samples] == ["a", "b", "c"]
    np.testing.assert_array_equal(losses, [1, 2, 3])
    np.testing.assert_array_equal(scores["told"], [10, 20, 30])


@pytest.fixture
def groups() -> list[str]:
    return [f"g{i // 4}" for i in range(40)]


def test_the_interval_of_a_mean_is_that_of_the_mean_of_hits(groups: list[str]) -> None:
    rng = np.random.default_rng(0)
    hits = [rng.integers(0, 2, 40) for _ in range(3)]
    found = mean_intervals([scored(h, groups=groups) for h in hits], TASK)
    mean = np.mean(hits, axis=0)
    expected = interval(lambda indices: float(mean[indices].mean()), groups=groups)
    assert (found["accuracy_low"], found["accuracy_high"]) == pytest.approx(expected)
    assert found["video_accuracy_low"] == pytest.approx(found["accuracy_low"])


def test_seeds_do_not_narrow_it_where_they_tell_the_same(groups: list[str]) -> None:
    hits = np.random.default_rng(0).integers(0, 2, 40)
    one, three = (mean_intervals([scored(hits, groups=groups)] * n, TASK) for n in (1, 3))
    assert three == pytest.approx(one)


def test_of_one_source_there_is_none() -> None:
    assert mean_intervals([scored(np.ones(3), groups=["g"] * 3)], TASK) == {}
