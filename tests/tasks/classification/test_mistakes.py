from __future__ import annotations

import numpy as np
import pytest

from videoproc.tasks import Mistake
from videoproc.tasks.classification.mistakes import answers, worst

SPEC = {"classes": ["run", "sit", "walk"]}
SCORES = {
    "probabilities": np.array([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0, 0.1, 0.9], [0.5, 0.3, 0.2]]),
    "target": np.array([1, 1, -1, 2]),
}


def test_an_answer_says_what_is_true_and_what_is_told_how_surely() -> None:
    found = [(a.true, a.told, a.confidence, a.is_right) for a in answers(SCORES, SPEC)]
    assert found == [
        ("sit", "run", 0.7, False),
        ("sit", "sit", 0.8, True),
        ("(a class not seen in training)", "walk", 0.9, False),
        ("walk", "run", 0.5, False),
    ]


def test_the_most_confident_mistake_comes_first_and_names_its_sample() -> None:
    found = worst(SCORES, SPEC, 10)
    assert [mistake.index for mistake in found] == [2, 0, 3]
    assert found[1] == Mistake(index=0, true="sit", told="run", confidence=0.7)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_no_more_mistakes_than_asked_for(count: int) -> None:
    assert len(worst(SCORES, SPEC, count)) == count
