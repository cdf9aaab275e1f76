"""Reading single clips out of shards, in any order, without holding a table in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from videoproc import storage
from videoproc.storage import Anywhere
from videoproc.tables.table import Table, read_parquet
from videoproc.types import Row

OPEN_SHARDS = 64  # parsed footers kept; a file is only open while it is read


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
    """Reads clip rows by place; the memory it takes does not grow with the table."""

    def __init__(self, columns: Sequence[str] | None = None) -> None:
        self._columns = list(columns) if columns is not None else None
        self._metadata: OrderedDict[Anywhere, pq.FileMetaData] = OrderedDict()

    def __call__(self, place: Place) -> Row:
        with pq.ParquetFile(
            storage.native(place.path),
            metadata=self._footer(place.path),
            filesystem=storage.filesystem(place.path),
        ) as shard:
            group: pa.Table = shard.read_row_group(place.row_group, columns=self._columns)
        return group.slice(place.row, 1).to_pylist()[0]

    def _footer(self, path: Anywhere) -> pq.FileMetaData:
        if path not in self._metadata:
            self._metadata[path] = read_footer(path)
            if len(self._metadata) > OPEN_SHARDS:
                self._metadata.popitem(last=False)
        self._metadata.move_to_end(path)
        return self._metadata[path]


def read_footer(path: Anywhere) -> pq.FileMetaData:
    """A shard's metadata."""
    return pq.read_metadata(storage.native(path), filesystem=storage.filesystem(path))
