"""The picture of a dataset's cross-validations: what stands in it, and in which order."""

from __future__ import annotations

from typing import Any

import numpy as np

from videoproc.report.leaderboard_plot import by_dataset, draw


def record(group: str | None, *, split: str = "folds", **values: float) -> dict[str, Any]:
    def found(name: str, value: float) -> dict[str, Any]:
        metrics = {"accuracy": value, "accuracy_low": value - 0.1, "accuracy_high": value + 0.1}
        return {
            "kind": "baseline" if name == "header_only" else "network",
            "multiply_adds": None if name == "header_only" else 1e10 * value,
            "runs": [{"seeds": [0], "metrics": {f"{split}/{n}": v for n, v in metrics.items()}}],
        }

    return {
        "dataset": "fights",
        "protocol": {"split": split, "group": group, "folds": 5},
        "metric": "accuracy",
        "maximise": True,
        "models": {name: found(name, value) for name, value in values.items()},
    }


def test_only_cross_validations_are_drawn_and_the_honest_one_comes_first() -> None:
    at_random, honest = record(None, cnn=0.9), record("camera", cnn=0.6)
    of_test = record("camera", split="test", cnn=0.7)
    assert by_dataset([at_random, of_test, honest]) == {"fights": [honest, at_random]}


def test_models_stand_best_first_with_each_protocols_value_and_interval() -> None:
    honest = record("camera", cnn=0.5, tsm=0.8, header_only=0.6)
    left, right = draw([honest, record(None, cnn=0.9)]).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["tsm", "header_only", "cnn"]
    points = set()
    for line in left.lines:
        points |= {(round(float(x), 3), round(float(y))) for x, y in np.transpose(line.get_data())}
    assert {(0.8, 0), (0.6, 1), (0.5, 2), (0.9, 2)} <= points
    drawn = [segment for lines in left.collections for segment in lines.get_segments()]
    ends = [segment[:, 0].round(3).tolist() for segment in drawn]
    assert [0.7, 0.9] in ends
    assert [0.8, 1.0] in ends
    assert [round(float(line.get_xdata()[0])) for line in right.lines] == [8, 5]
