from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest
from matplotlib.figure import Figure

from videoproc.tasks import Scores
from videoproc.tasks.classification import measures, metrics, plots

MakeScores = Callable[..., Scores]


def test_the_picture_shows_each_count_in_its_row_and_column(
    make_scores: MakeScores, spec: dict[str, list[str]]
) -> None:
    scores = make_scores()
    axes = plots.plots(scores, spec)["confusion_matrix.png"].axes[0]
    shown = {
        (int(y), int(x)): int(text.get_text())
        for text in axes.texts
        for x, y in [text.get_position()]
    }
    matrix = metrics.confusion_matrix(scores, spec)
    assert shown == {(i, j): matrix[i, j] for i in range(4) for j in range(4)}


def test_the_axes_name_the_classes(make_scores: MakeScores, spec: dict[str, list[str]]) -> None:
    axes = plots.plots(make_scores(), spec)["confusion_matrix.png"].axes[0]
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == spec["classes"]


def test_the_numbers_behind_the_picture_have_the_true_class_in_rows(
    make_scores: MakeScores, spec: dict[str, list[str]]
) -> None:
    scores = make_scores()
    table = plots.tables(scores, spec)["confusion_matrix.json"]
    assert table["classes"] == spec["classes"]
    of_true_class = [sum(row) for row in table["rows_true_columns_predicted"]]
    assert of_true_class == [(scores["target"] == i).sum() for i in range(4)]


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


@pytest.mark.parametrize(
    ("name", "said", "metric"),
    [("roc.png", "AUC", "roc_auc"), ("precision_recall.png", "AP", "average_precision")],
)
def test_each_curve_says_its_class_and_what_it_comes_to(
    make_scores: MakeScores, spec: dict[str, list[str]], name: str, said: str, metric: str
) -> None:
    scores = make_scores()
    values = measures.measures(scores, spec)
    expected = {f"{label}: {said} {values[f'{metric}/{label}']:.3f}" for label in spec["classes"]}
    assert expected == set(legend_of(plots.plots(scores, spec)[name])) - {"guessing"}


def of_classes(num: int) -> tuple[Scores, dict[str, list[str]]]:
    rng = np.random.default_rng(0)
    scores = {
        "probabilities": rng.dirichlet([1.0] * num, 4 * num),
        "target": np.arange(4 * num) % num,
    }
    return scores, {"classes": [f"class {i}" for i in range(num)]}


def test_of_two_classes_there_is_one_roc_curve() -> None:
    legend = legend_of(plots.plots(*of_classes(2))["roc.png"])
    assert legend[0] == "guessing"
    assert [text.split(":")[0] for text in legend[1:]] == ["class 1"]


def test_of_many_classes_the_worst_curves_are_drawn_and_the_mean_is_said() -> None:
    scores, spec = of_classes(40)
    axes = plots.plots(scores, spec)["precision_recall.png"].axes[0]
    assert len(axes.get_lines()) == 12
    mean = measures.measures(scores, spec)["average_precision_macro"]
    assert axes.get_title() == f"the 12 worst of 40 classes; mean AP {mean:.3f}"


def test_a_confusion_matrix_of_many_classes_is_colours_only() -> None:
    figure = plots.plots(*of_classes(40))["confusion_matrix.png"]
    assert len(figure.axes[0].texts) == 0
    assert max(figure.get_size_inches()) <= 17


def test_one_class_has_pictures_that_say_there_is_no_curve(
    make_scores: MakeScores, spec: dict[str, list[str]]
) -> None:
    figures = plots.plots(make_scores(low=1, high=2), spec)
    for name in ("roc.png", "precision_recall.png"):
        assert "no class has both" in figures[name].axes[0].texts[0].get_text()


def test_the_calibration_picture_counts_the_clips_of_each_bin(
    make_scores: MakeScores, spec: dict[str, list[str]]
) -> None:
    scores = make_scores(num=30)
    lower = plots.plots(scores, spec)["calibration.png"].axes[1]
    shown = [text.get_text() for text in lower.texts]
    expected = [bin_["clips"] for bin_ in plots.tables(scores, spec)["calibration.json"]]
    assert sum(expected) == 30
    assert shown == [str(count) if count else "" for count in expected]


def test_an_empty_bin_has_no_accuracy_in_the_numbers(
    make_scores: MakeScores, spec: dict[str, list[str]]
) -> None:
    bins = plots.tables(make_scores(num=1), spec)["calibration.json"]
    assert sum(bin_["accuracy"] is not None for bin_ in bins) == 1
    assert json.dumps(bins, allow_nan=False)
