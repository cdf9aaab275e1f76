"""Which clips several models were measured on alike, and their answers as one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from videoproc.learning.ensemble import mean_answers, pair_clips
from videoproc.tasks import Scores, select_task
from videoproc.types import Row, UserError


def clip(name: str, *, video: str, start_s: float = 0.0, label: str = "walk") -> Row:
    span = {"start_s": start_s, "end_s": start_s + 1}
    return {"clip_id": name, "video_id": video, "uri": f"{video}.mp4", "label": label} | span


A, B = clip("a", video="one"), clip("b", video="two")


def paired(clips: list[Row], others: list[Row]) -> list[int]:
    return pair_clips(clips, others, of_clips="run A", of_others="run B").tolist()


def test_clips_of_another_recipe_are_paired_by_what_they_show() -> None:
    small = [clip(f"small {t}", video="one", start_s=t) for t in range(3)]
    large = [clip(f"large {t}", video="one", start_s=t) for t in (1, 2, 0)]
    assert paired(small, large) == [2, 0, 1]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (
            [A],
            r"run A and run B do not have the same clips \(1 of the first alone, 0 of the second",
        ),
        ([A, clip("c", video="c")], r"\(1 of the first alone, 1 of .*, such as of 'two.mp4'"),
        (
            [A, clip("b", video="two", start_s=1.0)],
            r"such as of 'two.mp4': .* on the same spans of",
        ),
        (
            [A, clip("b", video="two", label="run")],
            "run A and run B have other labels: 'two.mp4' is 'walk' to the first and 'run' to the",
        ),
    ],
)
def test_what_cannot_be_paired_is_named(others: list[Row], said: str) -> None:
    with pytest.raises(UserError, match=said):
        paired([A, B], others)


def test_a_member_has_the_same_weight_however_many_trainings_stand_for_it() -> None:
    def scores(*of_first: float) -> Scores:
        first = np.array(of_first, np.float32)
        return {"probabilities": np.stack([first, 1 - first], 1), "target": np.zeros(2, int)}

    members: Any = [[scores(0.2, 0.4), scores(0.4, 0.8)], [scores(0.9, 0.2)]]
    found, losses = mean_answers(members, select_task("classification"))
    assert found["probabilities"][:, 0] == pytest.approx([0.6, 0.4])
    assert losses == pytest.approx(-np.log([0.6, 0.4]))
