"""Writing shards: a Parquet file that is there whole, under a name made of its bytes, or not.

Writing the same rows again replaces a file by its equal, and no file that a table names, or that
a reader has looked into, ever changes.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from videoproc import storage
from videoproc.storage import Anywhere

SHARD_BYTES = 128 << 20  # what a shard should have: fewer files, and still read by row groups
ROW_GROUP_BYTES = 1 << 20
FRAMES_GROUP_BYTES = 1 << 17
"""Training reads single row groups in any order, and wants one clip of each: a clip in JPEG fills
one, or a raw one; smaller clips share."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A Parquet file that is written and in no table yet; `name` is within its folder."""

    name: str
    size_bytes: int
    num_rows: int
    keys: tuple[str, ...]


def write_shard(folder: Anywhere, rows: pa.Table, *, key: tuple[str, ...]) -> Shard:
    """Write `rows` as one shard below `folder` and return what a commit needs to know of it."""
    content = _parquet(rows)
    name = f"part-{hashlib.blake2b(content, digest_size=16).hexdigest()}.parquet"
    storage.write_whole(folder / name, content)
    keys = row_keys(rows, key)
    return Shard(name=name, size_bytes=len(content), num_rows=rows.num_rows, keys=keys)


def rows_per_group(rows: pa.Table) -> int:
    """How many of these rows make a row group."""
    group_bytes = FRAMES_GROUP_BYTES if "frames" in rows.column_names else ROW_GROUP_BYTES
    return max(1, rows.num_rows * group_bytes // max(1, rows.nbytes))


def row_keys(rows: pa.Table, key: tuple[str, ...]) -> tuple[str, ...]:
    """The key of each row: the named string columns, joined by a slash."""
    columns = [rows[name].to_pylist() for name in key]
    return tuple("/".join(parts) for parts in zip(*columns, strict=True))


def _parquet(rows: pa.Table) -> memoryview:
    sink = pa.BufferOutputStream()
    pq.write_table(
        rows,
        sink,
        row_group_size=rows_per_group(rows),
        compression={
            name: "NONE" if name.startswith("frames.") else "ZSTD"
            for name in _leaf_names(rows.schema)
        },
        use_dictionary=[
            n for n in rows.column_names if pa.types.is_string(rows.schema.field(n).type)
        ],
        write_statistics=False,
    )
    return memoryview(sink.getvalue())


def _leaf_names(table_schema: pa.Schema) -> list[str]:
    # Parquet compresses leaves, and a list's leaf has a path of its own.
    return [f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in table_schema]
