"""Single clips are read from where they lie, without the rest of their shard."""

from __future__ import annotations

import pytest

from videoproc.tables.clip_reader import ClipReader, locate_clips


@pytest.fixture
def stored(dataset, clip_rows):
    """A table of three shards, each of several row groups, and its rows."""
    rows = clip_rows(12, side=256, num_frames=2)
    for start in range(0, 12, 4):
        dataset.clips.append_rows(rows[start : start + 4])
    return dataset.clips, rows


def test_every_clip_is_read_by_its_place_in_any_order(stored, between_steps):
    table, rows = stored
    places = locate_clips(table, [row["clip_id"] for row in rows])
    read = ClipReader()
    assert all(read(places[row["clip_id"]]) == between_steps(row) for row in reversed(rows))


def test_clips_are_found_after_their_neighbours_were_deleted(stored, between_steps):
    table, rows = stored
    table.delete("clip_id", [rows[1]["clip_id"]])
    places = locate_clips(table, [row["clip_id"] for row in rows])
    read = ClipReader()
    assert [i for i, row in enumerate(rows) if row["clip_id"] not in places] == [1]
    left = [row for row in rows if row["clip_id"] in places]
    assert all(read(places[row["clip_id"]]) == between_steps(row) for row in left)


def test_clips_that_the_table_lacks_have_no_place(stored):
    table, rows = stored
    assert list(locate_clips(table, [rows[5]["clip_id"], "nobody"])) == [rows[5]["clip_id"]]


def test_a_reader_of_some_columns_reads_no_others(stored):
    table, rows = stored
    (place,) = locate_clips(table, [rows[5]["clip_id"]]).values()
    assert ClipReader(["clip_id", "shape"])(place) == {
        "clip_id": rows[5]["clip_id"],
        "shape": rows[5]["shape"],
    }
