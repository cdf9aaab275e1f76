"""What was told of samples beside what baselines tell of them."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.measuring import measure, over_baselines
from videoproc.learning.scored import Scored
from videoproc.tasks import Scores, select_task

TASK = select_task("classification")
LABELS = ["calm", "fight"] * 20


def scores_of(right: list[bool]) -> Scores:
    target = np.arange(len(right)) % 2
    told = np.where(right, target, 1 - target)
    return {"probabilities": np.eye(2, dtype=np.float32)[told] * 0.8 + 0.1, "target": target}


def scored(right: list[bool]) -> Scored:
    about = [
        {
            "clip_id": f"c{i}",
            "video_id": f"v{i}",
            "uri": f"{i}.mp4",
            "start_s": 0.0,
            "end_s": 1.0,
            "group": f"source {i % 8}",
            "label": LABELS[i],
            "resolution": "64x48",
        }
        for i in range(len(right))
    ]
    return Scored(
        task="classification",
        spec={"classes": ["calm", "fight"]},
        about=about,
        scores=scores_of(right),
        losses=np.ones(len(right)),
    )


def test_a_model_that_is_always_right_is_above_a_guess_by_all_that_it_lacks() -> None:
    guess = [i % 4 < 2 for i in range(40)]
    found = over_baselines([scored([True] * 40)], {"majority": scores_of(guess)}, TASK)
    assert (found["majority_accuracy"], found["over_majority"]) == (0.5, 0.5)
    assert 0 < found["over_majority_low"] < 0.5 < found["over_majority_high"] <= 1


def test_a_model_that_answers_as_the_baseline_is_above_it_by_nothing_for_sure() -> None:
    right = [i % 3 > 0 for i in range(40)]
    found = over_baselines([scored(right)], {"header_only": scores_of(right)}, TASK)
    over = [found[f"over_header_only{end}"] for end in ("", "_low", "_high")]
    assert over == [0, 0, 0]


def test_of_several_trainings_the_mean_is_compared() -> None:
    sets = [scored([True] * 40), scored([i % 2 == 0 for i in range(40)])]
    found = over_baselines(sets, {"majority": scores_of([i % 4 < 2 for i in range(40)])}, TASK)
    assert found["over_majority"] == pytest.approx(0.25)


def test_one_source_alone_allows_no_interval() -> None:
    alone = scored([True] * 4)
    for row in alone.about:
        row["group"] = "one"
    found = over_baselines([alone], {"majority": scores_of([True, False] * 2)}, TASK)
    assert found.keys() == {"majority_accuracy", "over_majority"}


def test_a_temperature_adds_scaled_metrics_and_changes_no_other() -> None:
    told = scored([i % 5 > 0 for i in range(40)])
    plain, scaled = measure(told, TASK), measure(told, TASK, temperature=2.0)
    added = scaled.metrics.keys() - plain.metrics.keys()
    assert added == {
        "temperature",
        "loss_scaled",
        "expected_calibration_error_scaled",
        "brier_scaled",
    }
    assert plain.metrics.items() <= scaled.metrics.items()
    assert scaled.figures.keys() == plain.figures.keys()
