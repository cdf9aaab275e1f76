"""Writing shards: a Parquet file under a temporary name, then renamed. Data first, marker last.

A shard's name comes from its keys, so writing the same rows again replaces a file by its equal.
"""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from videoproc import schema

ROW_GROUP_BYTES = 1 << 20  # training reads single row groups: about a megabyte, never a shard


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A Parquet file that stands on disk and is in no table yet. `name` is relative to the table."""

    name: str
    size_bytes: int
    num_rows: int
    keys: tuple[str, ...]


def write_shard(folder: Path, rows: pa.Table, *, key: tuple[str, ...]) -> Shard:
    """Write `rows` as one shard below `folder` and return what a commit needs to know of it."""
    keys = row_keys(rows, key)
    name = f"part-{schema.content_id(*sorted(keys))}.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{uuid.uuid4().hex}.tmp"
    rows_per_group = max(1, rows.num_rows * ROW_GROUP_BYTES // max(1, rows.nbytes))
    pq.write_table(
        rows,
        temporary,
        row_group_size=rows_per_group,
        compression={n: "NONE" if n == "frames" else "ZSTD" for n in _leaf_names(rows.schema)},
        use_dictionary=[
            n for n in rows.column_names if pa.types.is_string(rows.schema.field(n).type)
        ],
        write_statistics=False,
    )
    final = folder / name
    temporary.rename(final)
    _sync_folder(folder)
    return Shard(name=name, size_bytes=final.stat().st_size, num_rows=rows.num_rows, keys=keys)


def row_keys(rows: pa.Table, key: tuple[str, ...]) -> tuple[str, ...]:
    """The key of each row: the named string columns, joined by a slash."""
    columns = [rows[name].to_pylist() for name in key]
    return tuple("/".join(parts) for parts in zip(*columns, strict=True))


def _leaf_names(table_schema: pa.Schema) -> list[str]:
    # Parquet compresses leaves, and a list's leaf has a path of its own.
    return [f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in table_schema]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
