"""Shards: whole or not there, named by their bytes, in row groups that are read whole."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from videoproc import schema
from videoproc.tables import write_shard
from videoproc.tables.write import FRAMES_GROUP_BYTES


def clips_shard(folder, rows):
    table = pa.Table.from_pylist(rows, schema=schema.CLIPS)
    return write_shard(folder, table, key=("clip_id",))


def test_what_was_written_is_read_back(tmp_path, clip_rows):
    rows = clip_rows(3)
    shard = clips_shard(tmp_path, rows)
    assert pq.read_table(tmp_path / shard.name).to_pylist() == rows


def test_a_shard_knows_its_size_rows_and_keys(tmp_path, clip_rows):
    rows = clip_rows(3)
    shard = clips_shard(tmp_path, rows)
    assert shard.size_bytes == (tmp_path / shard.name).stat().st_size
    assert (shard.num_rows, list(shard.keys)) == (3, [row["clip_id"] for row in rows])


def test_the_same_rows_make_the_same_file(tmp_path, clip_rows):
    first, again = (clips_shard(tmp_path, clip_rows(3)) for _ in range(2))
    assert first == again
    assert [path.name for path in tmp_path.iterdir()] == [first.name]


def test_rows_of_the_same_keys_and_other_values_make_another_file(tmp_path, clip_rows):
    # Else a writer that comes too late would change a file that the log and readers know.
    first = clips_shard(tmp_path, clip_rows(3))
    before = (tmp_path / first.name).read_bytes()
    other = clips_shard(tmp_path, [row | {"end_s": 9.0} for row in clip_rows(3)])
    assert other.name != first.name
    assert (tmp_path / first.name).read_bytes() == before


def test_small_clips_share_row_groups_of_about_an_eighth_of_a_megabyte(tmp_path, clip_rows):
    shard = clips_shard(tmp_path, clip_rows(40, side=48, num_frames=4))  # 28 KB a clip
    metadata = pq.read_metadata(tmp_path / shard.name)
    sizes = [metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups)]
    assert len(sizes) > 5
    low, high = 0.5 * FRAMES_GROUP_BYTES, 1.2 * FRAMES_GROUP_BYTES
    assert all(low < size < high for size in sizes[:-1])


def test_a_clip_larger_than_a_row_group_has_one_of_its_own(tmp_path, clip_rows):
    shard = clips_shard(tmp_path, clip_rows(2, side=256, num_frames=2))
    assert pq.read_metadata(tmp_path / shard.name).num_row_groups == 2


def test_what_cannot_be_written_leaves_no_file(tmp_path):
    interval = pa.array([(1, 2, 3)], pa.month_day_nano_interval())  # Parquet has no such type
    unwritable = pa.table({"id": ["a"], "interval": interval})
    with pytest.raises(pa.ArrowNotImplementedError):
        write_shard(tmp_path, unwritable, key=("id",))
    assert list(tmp_path.iterdir()) == []
