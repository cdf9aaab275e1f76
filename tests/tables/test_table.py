"""A table holds every committed row once, whoever writes and whatever is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from videoproc import schema, storage
from videoproc.tables import Table, write_shard
from videoproc.types import UserError


class Overtaken(Table):
    """A table whose next append is overtaken: after it has read the state, before it commits."""

    def _without_known_rows(self, shards):
        fresh = super()._without_known_rows(shards)
        if meanwhile := self.__dict__.pop("meanwhile", None):
            meanwhile()
        return fresh


@pytest.fixture
def overtaken(table):
    return Overtaken(folder=table.folder, schema=table.schema, key=table.key)


def ids_of(table):
    return sorted(table.read(["id"])["id"].to_pylist())


def test_a_table_that_was_never_written_is_empty(table):
    assert (table.exists, table.version, table.files(), table.keys()) == (False, -1, [], set())
    assert table.read().schema == table.schema


def test_appended_rows_are_read(table, shard_of):
    assert table.append([shard_of(table, "a", "b"), shard_of(table, "c", value=7)]) == 3
    assert ids_of(table) == ["a", "b", "c"]
    assert table.read(["value"])["value"].to_pylist().count(7) == 1


def test_appending_twice_adds_nothing(table, shard_of):
    shard = shard_of(table, "a", "b")
    table.append([shard])
    version = table.version
    assert table.append([shard]) == 0
    assert (ids_of(table), table.version) == (["a", "b"], version)


def test_of_a_partly_known_shard_the_new_rows_come_in(table, shard_of):
    table.append([shard_of(table, "a", "b", value=1)])
    assert table.append([shard_of(table, "b", "c", value=2)]) == 1
    rows = {row["id"]: row["value"] for row in table.read().to_pylist()}
    assert rows == {"a": 1, "b": 1, "c": 2}


def test_shards_of_one_append_may_overlap(table, shard_of):
    assert table.append([shard_of(table, "a", "b"), shard_of(table, "b", "c")]) == 3
    assert ids_of(table) == ["a", "b", "c"]


def test_a_key_that_stands_twice_in_a_shard_comes_in_once(table, shard_of):
    assert table.append([shard_of(table, "a", "a", "b")]) == 2
    assert ids_of(table) == ["a", "b"]


@pytest.mark.parametrize("theirs", [("a", "b"), ("b", "c"), ("c", "d")], ids="".join)
def test_a_writer_that_was_overtaken_neither_doubles_nor_loses_rows(
    table, overtaken, shard_of, theirs
):
    table.append([shard_of(table, "0")])
    overtaken.meanwhile = lambda: table.append([shard_of(table, *theirs, value=1)])
    mine = overtaken.append([shard_of(table, "a", "b")])
    assert ids_of(table) == sorted({"0", "a", "b", *theirs})
    assert mine == len({"a", "b"} - set(theirs))


def test_a_writer_that_was_overtaken_by_a_deletion_tries_again(table, overtaken, shard_of):
    table.append([shard_of(table, "a", "b")])
    overtaken.meanwhile = lambda: table.delete("id", ["a"])
    overtaken.append([shard_of(table, "c")])
    assert ids_of(table) == ["b", "c"]


def test_threads_that_write_at_once_lose_and_double_nothing(table, shard_of):
    start = threading.Barrier(4)

    def write(first):
        own = Table(folder=table.folder, schema=table.schema, key=table.key)
        start.wait()
        for i in range(first, first + 6, 2):
            own.append([shard_of(own, f"{i:02}", f"{i + 1:02}", value=first)])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, (0, 2, 4, 5)))
    assert ids_of(table) == [f"{i:02}" for i in range(11)]


WRITER = """
import pathlib, sys, time
import pyarrow as pa
from videoproc.tables import Table, write_shard

folder, name, first = pathlib.Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
numbers = pa.schema([("id", pa.string()), ("value", pa.int64())])
table = Table(folder=folder / "numbers", schema=numbers, key=("id",))
(folder / name).touch()
while len(list(folder.glob("ready*"))) < 2:
    time.sleep(0.001)
for i in range(first, first + 10):
    rows = [{"id": f"{i + k:02}", "value": first} for k in range(2)]
    shard = write_shard(table.folder, pa.Table.from_pylist(rows, schema=numbers), key=("id",))
    table.append([shard])
"""


def test_processes_that_write_at_once_lose_and_double_nothing(table, tmp_path):
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, tmp_path, f"ready{first}", str(first)])
        for first in (0, 5)
    ]
    assert [writer.wait(timeout=60) for writer in writers] == [0, 0]
    assert ids_of(table) == [f"{i:02}" for i in range(16)]


def test_a_shard_whose_file_is_gone_is_refused(table, shard_of):
    shard = shard_of(table, "a")
    (table.folder / shard.name).unlink()
    with pytest.raises(RuntimeError, match=f"{shard.name} is gone"):
        table.append([shard])
    assert ids_of(table) == []


def test_a_shard_whose_file_is_short_is_refused(table, shard_of):
    shard = shard_of(table, "a")
    os.truncate(table.folder / shard.name, shard.size_bytes - 1)
    with pytest.raises(RuntimeError, match=f"not of {shard.size_bytes} bytes"):
        table.append([shard])
    assert ids_of(table) == []


def test_files_that_were_not_committed_are_not_read(table, shard_of):
    table.append([shard_of(table, "a")])
    shard_of(table, "orphan")
    (table.folder / ".half.tmp").write_bytes(b"PAR1")
    assert ids_of(table) == ["a"]
    assert table.keys() == {"a"}


def test_replacing_puts_the_new_rows_in_the_place_of_all_others(table, shard_of):
    table.append([shard_of(table, "a", "b")])
    table.replace(pa.table({"id": ["z"], "value": [1]}))
    assert (ids_of(table), table.keys()) == (["z"], {"z"})


def test_deleted_rows_are_gone_and_may_come_back(table, shard_of):
    shard = shard_of(table, "a", "b")
    table.append([shard])
    table.delete("id", ["a"])
    assert (ids_of(table), table.keys()) == (["b"], {"b"})
    assert table.append([shard]) == 1
    assert ids_of(table) == ["a", "b"]


def test_a_shard_that_was_deleted_as_a_whole_may_come_back_under_its_name(table, shard_of):
    shard = shard_of(table, "a", "b")
    table.append([shard])
    table.delete("id", ["a", "b"])
    assert table.append([shard]) == 2
    assert ids_of(table) == ["a", "b"]


def test_keys_of_a_shard_are_read_once(table, shard_of):
    table.append([shard_of(table, "a")])
    own = Table(folder=table.folder, schema=table.schema, key=table.key)
    assert own.keys() == {"a"}
    for path in own.files():
        path.write_bytes(b"")
    assert own.keys() == {"a"}


def test_keys_that_another_writer_adds_are_seen(table, shard_of):
    own = Table(folder=table.folder, schema=table.schema, key=table.key)
    table.append([shard_of(table, "a")])
    assert own.keys() == {"a"}
    table.append([shard_of(table, "b")])
    assert own.keys() == {"a", "b"}


def test_keys_of_several_columns_are_joined(dataset):
    row = {"clip_id": "c", "feature_id": "f", "video_id": "v", "feature": "x", "vector": [1.0]}
    dataset.features.append_rows([row])
    assert dataset.features.keys() == {"c/f"}
    assert dataset.features.append_rows([row, row | {"feature_id": "g"}]) == 1


def test_a_table_of_other_columns_is_the_users_to_mend(table, shard_of):
    table.append([shard_of(table, "a")])
    columns = pa.schema([("id", pa.string()), ("other", pa.int64())])
    other = Table(folder=table.folder, schema=columns, key=("id",))
    for use in (other.read, other.keys, lambda: other.replace(columns.empty_table())):
        with pytest.raises(UserError, match=r"has the columns \['id', 'value'\]"):
            use()


def test_polars_reads_what_was_appended_and_deleted(dataset, clip_rows):
    rows = clip_rows(6)
    dataset.clips.append_rows(rows[:4])
    dataset.clips.append_rows(rows[4:])
    dataset.clips.delete("clip_id", [rows[0]["clip_id"]])
    found = pl.scan_delta(str(dataset.clips.folder)).sort("clip_id").collect().to_dicts()
    assert found == sorted(rows[1:], key=lambda row: row["clip_id"])


def test_rows_beside_deleted_ones_keep_their_values_and_types(dataset, clip_rows):
    rows = clip_rows(6)
    dataset.clips.append_rows(rows)
    dataset.clips.delete("video_id", [rows[0]["video_id"]])
    assert dataset.clips.read().to_pylist() == rows[2:]
    assert dataset.clips.read().schema == schema.CLIPS


def test_a_deletion_leaves_row_groups_as_small_as_they_were(dataset, clip_rows):
    rows = clip_rows(12, side=256, num_frames=2)  # 0.4 MB a clip
    dataset.clips.append_rows(rows)
    dataset.clips.delete("clip_id", [rows[0]["clip_id"]])
    (path,) = dataset.clips.files()
    assert pq.read_metadata(path).num_row_groups == 11


def test_a_reader_keeps_what_it_has_located_while_a_late_writer_comes(table, shard_of):
    table.append([shard_of(table, "a", "b")])
    before = {path: path.read_bytes() for path in table.files()}
    rows = pa.table({"id": ["b", "a"], "value": [3, 3]})
    assert table.append([write_shard(table.folder, rows, key=table.key)]) == 0
    assert {path: path.read_bytes() for path in table.files()} == before


def test_a_version_that_never_was_is_named_with_those_there_are(table, shard_of):
    table.append([shard_of(table, "a")])
    with pytest.raises(UserError, match="has versions 0 to 1, and no 99"):
        table.read(version=99)


def test_an_orphan_that_is_written_anew_while_vacuum_works_is_kept(table, shard_of, monkeypatch):
    """Its name is made of its content, so a reverted change gives a file its old name again."""
    table.append([shard_of(table, "a")])
    orphan = shard_of(table, "b")
    look = storage.look

    def rewritten(path):
        os.utime(path)  # as a writer does between the listing and the deletion
        return look(path)

    os.utime(table.folder / orphan.name, (0, 0))
    monkeypatch.setattr(storage, "look", rewritten)
    assert table.vacuum(keep_versions=(), min_age_s=3600) == []
    assert table.append([orphan]) == 1
