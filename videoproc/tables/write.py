"""Writing shards: a Parquet file under a temporary name, then renamed. Data first, marker last.

A shard's name comes from its bytes: writing the same rows again replaces a file by its equal, and
no file that a table names, or that a reader has looked into, ever changes.
"""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

ROW_GROUP_BYTES = 1 << 20  # training reads single row groups: about a megabyte, never a shard


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A Parquet file that stands on disk and is in no table yet; `name` is within its folder."""

    name: str
    size_bytes: int
    num_rows: int
    keys: tuple[str, ...]


def write_shard(folder: Path, rows: pa.Table, *, key: tuple[str, ...]) -> Shard:
    """Write `rows` as one shard below `folder` and return what a commit needs to know of it."""
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{uuid.uuid4().hex}.tmp"
    try:
        _write_parquet(temporary, rows)
        size_bytes, digest = _sync(temporary)
        name = f"part-{digest}.parquet"
        temporary.rename(folder / name)
    finally:
        temporary.unlink(missing_ok=True)  # a full disk must not fill up further
    _sync_folder(folder)
    keys = row_keys(rows, key)
    return Shard(name=name, size_bytes=size_bytes, num_rows=rows.num_rows, keys=keys)


def rows_per_group(num_rows: int, num_bytes: int) -> int:
    """How many of these rows make a row group of ROW_GROUP_BYTES."""
    return max(1, num_rows * ROW_GROUP_BYTES // max(1, num_bytes))


def row_keys(rows: pa.Table, key: tuple[str, ...]) -> tuple[str, ...]:
    """The key of each row: the named string columns, joined by a slash."""
    columns = [rows[name].to_pylist() for name in key]
    return tuple("/".join(parts) for parts in zip(*columns, strict=True))


def _write_parquet(path: Path, rows: pa.Table) -> None:
    pq.write_table(
        rows,
        path,
        row_group_size=rows_per_group(rows.num_rows, rows.nbytes),
        compression={n: "NONE" if n == "frames" else "ZSTD" for n in _leaf_names(rows.schema)},
        use_dictionary=[
            n for n in rows.column_names if pa.types.is_string(rows.schema.field(n).type)
        ],
        write_statistics=False,
    )


def _leaf_names(table_schema: pa.Schema) -> list[str]:
    # Parquet compresses leaves, and a list's leaf has a path of its own.
    return [f"{f.name}.list.element" if pa.types.is_list(f.type) else f.name for f in table_schema]


def _sync(path: Path) -> tuple[int, str]:
    """Bring a file to the disk; its size and a digest of its bytes."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16))
        return file.tell(), digest.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
