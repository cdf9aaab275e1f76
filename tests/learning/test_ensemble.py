"""Which clips several models were measured on alike, and their answers as one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from videoproc.learning.ensemble import mean_answers, pair_clips
from videoproc.tasks import Scores, select_task
from videoproc.types import Row, UserError


def clip(name: str, *, video: str | None = None, label: str = "walk") -> Row:
    video = video or f"of {name}"
    return {"clip_id": name, "video_id": video, "uri": f"{video}.mp4", "label": label}


def paired(clips: list[Row], others: list[Row]) -> list[int]:
    return pair_clips(clips, others, of_clips="run A", of_others="run B").tolist()


def test_clips_of_the_same_ids_are_paired_whatever_their_order() -> None:
    several_of_a_video = [clip(name, video="one") for name in "abc"]
    assert paired(several_of_a_video, several_of_a_video[::-1]) == [2, 1, 0]


def test_clips_of_other_ids_are_paired_by_video_where_each_has_one() -> None:
    small = [clip(f"small {i}", video=f"v{i}") for i in range(3)]
    large = [clip(f"large {i}", video=f"v{i}") for i in (1, 2, 0)]
    assert paired(small, large) == [2, 0, 1]


@pytest.mark.parametrize(
    ("others", "said"),
    [
        ([clip("a")], r"run A and run B do not have the same videos \(1 of the first alone, 0 of "),
        ([clip("a"), clip("c")], r"\(1 of the first alone, 1 of the second\), such as 'of b.mp4'"),
        (
            [clip("a"), clip("c", video="of b"), clip("d", video="of b")],
            "other clips of the same videos, and run B has several of 'of b.mp4'.* one recipe",
        ),
        (
            [clip("a"), clip("b", label="run")],
            "run A and run B have other labels: 'of b.mp4' is 'walk' to the first and 'run' to the",
        ),
    ],
)
def test_what_cannot_be_paired_is_named(others: list[Row], said: str) -> None:
    with pytest.raises(UserError, match=said):
        paired([clip("a"), clip("b")], others)


def test_a_member_has_the_same_weight_however_many_trainings_stand_for_it() -> None:
    def scores(*of_first: float) -> Scores:
        first = np.array(of_first, np.float32)
        return {"probabilities": np.stack([first, 1 - first], 1), "target": np.zeros(2, int)}

    members: Any = [[scores(0.2, 0.4), scores(0.4, 0.8)], [scores(0.9, 0.2)]]
    found, losses = mean_answers(members, select_task("classification"))
    assert found["probabilities"][:, 0] == pytest.approx([0.6, 0.4])
    assert losses == pytest.approx(-np.log([0.6, 0.4]))
