"""Numbers side by side."""

from __future__ import annotations

from videoproc.report.table import side_by_side, with_intervals


def test_a_row_a_name_and_a_column_a_model() -> None:
    shown = side_by_side({"cnn": {"accuracy": 0.25, "loss": 2.0}, "gru": {"accuracy": 0.5}})
    assert shown.splitlines() == [
        "                 cnn         gru",
        "accuracy        0.25         0.5",
        "loss               2           -",
    ]


def test_numbers_of_single_classes_come_last() -> None:
    shown = side_by_side({"cnn": {"f1/a": 1.0, "loss": 2.0}})
    assert [line.split()[0] for line in shown.splitlines()[1:]] == ["loss", "f1/a"]


def test_an_interval_stands_with_its_number() -> None:
    values = {"accuracy": 0.5, "accuracy_low": 0.25, "accuracy_high": 0.75, "low": 1.0}
    assert with_intervals(values) == {"accuracy": "0.500 (0.250 to 0.750)", "low": 1.0}


def test_columns_are_as_wide_as_what_stands_in_them() -> None:
    shown = side_by_side({"a": {"x": "0.500 (0.250 to 0.750)"}, "b": {"x": 1.0}})
    assert shown.splitlines()[1] == "x  0.500 (0.250 to 0.750)           1"
