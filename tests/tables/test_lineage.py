"""Where a value has been: versions, files, rows now."""

from __future__ import annotations

import pytest

from videoproc.tables.lineage import as_ranges, predicted_by, trace


def test_a_value_is_followed_through_the_versions_of_a_table(table, shard_of):
    table.append([shard_of(table, "a")])
    table.append([shard_of(table, "b")])
    table.delete("id", ["a"])
    table.append([shard_of(table, "c")])
    found = trace(table, "id", "a")
    assert found.rows == 0
    assert found.versions == (1, 2), "the first commit made the table, the fourth took it out"
    assert [path.exists() for path in found.files] == [True]
    assert trace(table, "id", "c").rows == 1
    assert trace(table, "id", "nobody").versions == ()


def test_versions_whose_files_are_gone_are_named(table, shard_of):
    table.append([shard_of(table, "a")])
    table.append([shard_of(table, "b")])
    table.delete("id", ["a"])
    table.vacuum(keep_versions=(), min_age_s=-60)
    found = trace(table, "id", "b")
    assert found.rows == 1
    assert found.unreadable == (1, 2)
    assert found.versions == (2, 3)


def test_rows_that_were_joined_into_another_shard_are_still_followed(table, shard_of):
    for i in range(16):
        table.append([shard_of(table, f"{i:02d}")])
    assert table.compact() == 16
    found = trace(table, "id", "03")
    assert (found.rows, len(found.files)) == (1, 2)
    assert found.versions[-1] == table.version


def test_a_table_that_was_never_written_has_nothing(table):
    found = trace(table, "id", "a")
    assert (found.rows, found.versions, found.files) == (0, (), ())


def test_without_predictions_nobody_has_predicted(dataset):
    assert predicted_by(dataset, "a") == {}


@pytest.mark.parametrize(
    ("numbers", "said"),
    [((), "none"), ((3,), "3"), ((0, 1, 2, 3), "0-3"), ((9, 0, 1, 5), "0-1, 5, 9")],
)
def test_many_versions_are_said_in_a_line(numbers, said):
    assert as_ranges(numbers) == said
