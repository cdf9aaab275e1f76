"""Reading single clips out of shards, in any order, without holding a table in memory."""

from __future__ import annotations

import functools
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from videoproc import schema, storage
from videoproc.storage import Anywhere
from videoproc.tables.frames import decode_frames
from videoproc.tables.table import Table, read_parquet
from videoproc.types import Row

OPEN_SHARDS = 64  # parsed footers kept; a file is only open while it is read
NEEDED = ("clip_id", "encoding", "dtype", "shape")  # to make an array of `frames`


@dataclass(frozen=True)
class Place:
    """Where a clip lies: shard, row group, row within the group."""

    path: Anywhere
    row_group: int
    row: int


def locate_clips(table: Table, clip_ids: Collection[str]) -> dict[str, Place]:
    """The places of those of `clip_ids` that the table holds. Reads ids only, no frames."""
    wanted = set(clip_ids)
    places: dict[str, Place] = {}
    for path in table.files():
        metadata = read_footer(path)
        group_rows = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(group_rows)])
        ids = read_parquet(path, ["clip_id"])["clip_id"].to_pylist()
        for position, clip_id in enumerate(ids):
            if clip_id in wanted:
                group = int(np.searchsorted(starts, position, side="right")) - 1
                places[clip_id] = Place(path, group, int(position - starts[group]))
    return places


class ClipReader:
    """Reads clip rows by place, their frames raw and in one piece whatever the table holds.

    `frames` is a memoryview of the array that they were decoded into, for `schema.frames_of`.
    The memory that a reader takes does not grow with the table. Threads may share it.
    """

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        names = schema.CLIPS.names if columns is None else columns
        self._columns = [name for name in names if name != "encoding"]
        needed = NEEDED if "frames" in self._columns else ()
        self._read = list(dict.fromkeys([*self._columns, *needed]))

    def __call__(self, place: Place) -> Row:
        with schema.reading(place.path):
            group = storage.patient(place.path, lambda: self._group(place))
        schema.check_plain(group.schema, where=place.path)
        row = group.slice(place.row, 1).to_pylist()[0]
        if "frames" in row:
            row["frames"] = decode_frames(row).reshape(-1).data
        return {name: row[name] for name in self._columns}

    def _group(self, place: Place) -> pa.Table:
        with pq.ParquetFile(
            storage.native(place.path),
            metadata=read_footer(place.path),
            filesystem=storage.filesystem(place.path),
        ) as shard:
            return shard.read_row_group(place.row_group, columns=self._read)


@functools.lru_cache(OPEN_SHARDS)
def read_footer(path: Anywhere) -> pq.FileMetaData:
    """A shard's metadata; shards never change."""
    return storage.patient(
        path,
        lambda: pq.read_metadata(storage.native(path), filesystem=storage.filesystem(path)),
    )
