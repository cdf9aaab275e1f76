from __future__ import annotations

from collections.abc import Callable

from videoproc.tasks import Scores
from videoproc.tasks.classification import metrics, plots

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
