from __future__ import annotations

import pyarrow as pa
import pytest
import torch
from torch import nn

from videoproc.tasks.classification import outputs

SPEC = {"classes": ["jump", "run", "walk"]}


def test_the_label_is_the_most_probable_class_with_its_probability() -> None:
    logits = torch.tensor([[0.0, 3.0, 1.0], [2.0, -1.0, 0.0]])
    rows = outputs.rows(logits, SPEC)
    assert [row["label"] for row in rows] == ["run", "jump"]
    expected = logits.softmax(dim=1).max(dim=1).values.tolist()
    assert [row["probability"] for row in rows] == pytest.approx(expected)


def test_probabilities_stand_in_the_order_of_the_classes_and_sum_to_one() -> None:
    (row,) = outputs.rows(torch.tensor([[0.0, 3.0, 1.0]]), SPEC)
    assert row["classes"] == SPEC["classes"]
    assert row["probabilities"][1] == row["probability"]
    assert sum(row["probabilities"]) == pytest.approx(1)


def test_rows_fit_the_columns() -> None:
    rows = outputs.rows(torch.randn(4, 3), SPEC)
    table = pa.Table.from_pylist(rows, schema=outputs.COLUMNS)
    assert table.num_rows == 4
    assert set(rows[0]) == set(outputs.COLUMNS.names)


def test_the_exported_network_answers_with_probabilities() -> None:
    logits = torch.randn(4, 3)
    assert outputs.export(nn.Identity())(logits).equal(logits.softmax(dim=1))
