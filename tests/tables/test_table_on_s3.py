"""A table in an object store is the table that it is on a disk."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from videoproc.storage import at
from videoproc.tables import Dataset, Table
from videoproc.tables.clip_reader import ClipReader, locate_clips
from videoproc.types import UserError

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def remote(table, bucket):
    """An empty table in a bucket."""
    return Table(folder=at(bucket) / "data" / "numbers", schema=table.schema, key=("id",))


def ids(table):
    return sorted(table.read(["id"])["id"].to_pylist())


def test_rows_come_in_once_and_go(remote, shard_of):
    assert not remote.exists
    assert remote.append([shard_of(remote, "a", "b")]) == 2
    assert remote.append([shard_of(remote, "b", "c")]) == 1
    assert ids(remote) == ["a", "b", "c"]
    assert remote.delete("id", ["a"]) == 1
    assert ids(remote) == ["b", "c"]
    assert remote.keys() == {"b", "c"}
    assert ids_at(remote, 1) == ["a", "b"], "the first commit made the table"


def ids_at(table, version):
    return sorted(table.read(["id"], version=version)["id"].to_pylist())


def test_a_shard_whose_file_is_gone_is_refused(remote, shard_of):
    shard = shard_of(remote, "a")
    (remote.folder / shard.name).unlink()
    with pytest.raises(RuntimeError, match=f"{shard.name} is gone"):
        remote.append([shard])


def test_vacuum_deletes_orphans_and_keeps_named_versions(remote, shard_of):
    remote.append([shard_of(remote, "a")])
    remote.append([shard_of(remote, "b")])
    named = remote.version
    remote.delete("id", ["a"])
    orphan = shard_of(remote, "never committed")
    gone = remote.vacuum(keep_versions={named}, min_age_s=-60)
    assert [path.name for path in gone] == [orphan.name]
    assert ids_at(remote, named) == ["a", "b"]
    assert len(remote.vacuum(keep_versions=(), min_age_s=-60)) == 1
    assert ids(remote) == ["b"]


def test_small_shards_are_joined(remote, shard_of):
    names = [f"{i:02d}" for i in range(16)]
    for name in names:
        remote.append([shard_of(remote, name)])
    assert remote.compact() == 16
    assert ids(remote) == names
    assert len(remote.files()) == 1


def test_processes_that_write_at_once_lose_and_double_nothing(remote):
    """Each writes 6 rows of its own and 6 that both write."""
    code = textwrap.dedent(
        """
        import sys
        import pyarrow as pa
        from videoproc.storage import at
        from videoproc.tables import Table, write_shard

        folder, me = sys.argv[1:]
        schema = pa.schema([("id", pa.string()), ("value", pa.int64())])
        table = Table(folder=at(folder), schema=schema, key=("id",))
        for i in range(6):
            rows = [{"id": f"{me}{i}", "value": i}, {"id": f"both{i}", "value": i}]
            rows = pa.Table.from_pylist(rows, schema=schema)
            table.append([write_shard(table.folder, rows, key=table.key)])
        """
    )
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(remote.folder), me],
            env=os.environ | {"PYTHONPATH": str(PROJECT)},
        )
        for me in "xy"
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    wanted = [f"{me}{i}" for me in ("x", "y", "both") for i in range(6)]
    assert Counter(ids(remote)) == Counter(wanted)


def test_single_clips_are_read_out_of_shards(bucket, clip_rows, between_steps):
    dataset = Dataset(folder=at(bucket) / "data")
    rows = clip_rows(8)
    dataset.clips.append_rows(rows)
    wanted = rows[5]
    places = locate_clips(dataset.clips, [wanted["clip_id"]])
    assert ClipReader()(places[wanted["clip_id"]]) == between_steps(wanted)


def test_small_files_of_a_dataset_are_there_too(bucket):
    dataset = Dataset(folder=at(bucket) / "data")
    assert dataset.read_text("night.json") is None
    dataset.write_text("night.json", "key")
    assert dataset.read_text("night.json") == "key"


def test_a_bucket_that_is_not_there_is_named_in_one_line(remote):
    nowhere = Table(folder=at("s3://no-such-bucket/t"), schema=remote.schema, key=("id",))
    with pytest.raises((UserError, OSError), match="no-such-bucket"):
        nowhere.append_rows([{"id": "a", "value": 1}])
    assert isinstance(remote.read(), pa.Table)
