"""Two models of two classes on clips whose answers are written by hand: `10` is a clip that the
first model gets right and the second wrong."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from videoproc.learning.compare import differences, disagreements, pair
from videoproc.learning.scored import Scored
from videoproc.tasks import select_task

TASK = select_task("classification")
CLASSES = ["run", "walk"]


def scored(
    right: list[bool],
    *,
    groups: list[str | None] | None = None,
    confidences: list[float] | None = None,
    clips_a_video: int = 1,
    first: int = 0,
    labels: dict[int, str] | None = None,
    recipe: str = "r",
) -> Scored:
    num = len(right)
    labels = {i: (labels or {}).get(i + first, "walk") for i in range(num)}
    target = np.array([CLASSES.index(labels[i]) for i in range(num)])
    told = np.where(right, target, 1 - target)
    confidence = np.array(confidences or [0.8] * num)
    probabilities = np.empty((num, 2), np.float32)
    probabilities[np.arange(num), told] = confidence
    probabilities[np.arange(num), 1 - told] = 1 - confidence
    about = [
        {
            "clip_id": f"{recipe} {first + i}",
            "video_id": f"v{(first + i) // clips_a_video}",
            "uri": f"{(first + i) // clips_a_video}.mp4",
            "start_s": float((first + i) % clips_a_video),
            "end_s": (first + i) % clips_a_video + 1.0,
            "group": groups[i] if groups else None,
            "label": labels[i],
            "resolution": "64x48",
        }
        for i in range(num)
    ]
    losses = -np.log(probabilities[np.arange(num), target].astype(float))
    return Scored(
        task="classification",
        spec={"classes": CLASSES},
        about=about,
        scores={"probabilities": probabilities, "target": target},
        losses=losses,
    )


def bits(text: str) -> tuple[list[bool], list[bool]]:
    pairs = text.split()
    return [p[0] == "1" for p in pairs], [p[1] == "1" for p in pairs]


def test_the_accuracys_difference_comes_first_with_its_interval() -> None:
    right_a, right_b = bits(" ".join(["01"] * 30 + ["11"] * 70))
    first, *others = differences(pair(scored(right_a), scored(right_b)), TASK)
    assert (first.name, first.a, first.b) == ("accuracy", 0.7, 1.0)
    expected = stats.binom.ppf([0.025, 0.975], 100, 0.3) / 100
    assert (first.low, first.high) == pytest.approx(expected, abs=0.011)
    assert first.is_shown
    assert {d.name for d in others} == {"precision_macro", "recall_macro", "f1_macro", "loss"}


def test_errors_at_other_places_but_as_many_show_no_difference() -> None:
    right_a, right_b = bits(" ".join(["01", "10"] * 20))
    first, *_ = differences(pair(scored(right_a), scored(right_b)), TASK)
    assert first.low < 0 < first.high
    assert not first.is_shown


def test_the_same_answers_differ_by_nothing() -> None:
    right, _ = bits("11 00 11 00")
    assert all(
        (d.a, d.low, d.high) == (d.b, 0, 0)
        for d in differences(pair(scored(right), scored(right)), TASK)
    )


def test_clips_of_one_source_give_no_interval() -> None:
    right_a, right_b = bits("01 01 01 11")
    groups: list[str | None] = ["camera"] * 4
    compared = differences(
        pair(scored(right_a, groups=groups), scored(right_b, groups=groups)), TASK
    )
    assert all(d.low is None and not d.is_shown for d in compared)


def test_videos_of_several_clips_are_compared_too() -> None:
    right_a, right_b = bits("11 10 11 00 01 01")  # of three videos a gets one, b two; 0.8 each
    compared = differences(
        pair(scored(right_a, clips_a_video=3), scored(right_b, clips_a_video=3)), TASK
    )
    by_video = compared[-1]
    assert (by_video.name, by_video.a, by_video.b) == ("video_accuracy", 0.5, 1.0)


def test_spans_are_paired_whatever_the_order_and_the_recipe() -> None:
    a = scored([True, False, True, False])
    b = scored([True, True, False, False], recipe="other").take(np.array([3, 1, 0, 2]))
    found = pair(a, b)
    assert [row["uri"] for row in found.a.about] == [row["uri"] for row in found.b.about]
    assert found.is_whole


def test_what_one_alone_was_measured_on_is_left_out_and_counted() -> None:
    found = pair(scored([True] * 5), scored([True] * 4, first=2))
    assert [row["uri"] for row in found.a.about] == ["2.mp4", "3.mp4", "4.mp4"]
    assert (found.only_a, found.only_b, found.relabelled, found.is_whole) == (2, 1, 0, False)


def test_a_clip_whose_label_has_changed_between_is_left_out_and_counted() -> None:
    found = pair(scored([True] * 3), scored([True] * 3, labels={1: "run"}))
    assert [row["uri"] for row in found.b.about] == ["0.mp4", "2.mp4"]
    assert (found.only_a, found.only_b, found.relabelled) == (0, 0, 1)


def test_nothing_in_common_leaves_nothing() -> None:
    assert pair(scored([True] * 3), scored([True] * 3, first=7)).a.about == []


def test_disagreements_stand_by_source_the_most_decisive_first() -> None:
    right_a, right_b = bits("10 11 10 01 10 00")
    groups: list[str | None] = ["few", "many", "many", "few", "many", "few"]
    a = scored(right_a, groups=groups, confidences=[0.9, 0.9, 0.6, 0.7, 0.8, 0.9])
    b = scored(right_b, groups=groups, confidences=[0.9, 0.9, 0.6, 0.7, 0.7, 0.9])
    only_a, only_b = disagreements(pair(a, b), TASK)
    assert [(d.source, d.about["uri"]) for d in only_a] == [
        ("many", "4.mp4"),
        ("many", "2.mp4"),
        ("few", "0.mp4"),
    ]
    assert [(d.about["uri"], d.a.told, d.b.told, d.b.true) for d in only_b] == [
        ("3.mp4", "run", "walk", "walk")
    ]
