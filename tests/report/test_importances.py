from __future__ import annotations

from videoproc.report.importances import importances_plot


def test_the_largest_stand_on_top_and_of_very_many_columns_twenty_are_shown() -> None:
    by_column = {f"flow.{i}": i / 1000 for i in range(40)}
    left, right = importances_plot({"motion": 0.2, "flow": 0.8}, by_column).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["flow", "motion"]
    shown = [label.get_text() for label in right.get_yticklabels()]
    assert shown == [f"flow.{i}" for i in range(39, 19, -1)]
    assert right.get_title() == "the 20 largest columns"
