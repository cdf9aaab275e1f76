"""A Parquet file that lists the videos, one a row."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from videoproc import schema
from videoproc.corpus.layouts import listed
from videoproc.corpus.layouts.entry import Entry
from videoproc.storage import Anywhere
from videoproc.types import UserError


def list_videos(source: Anywhere) -> list[Entry]:
    """The rows of the Parquet file `source`, in its order; see `listed` for the columns.

    Several labels of a video are a list column `labels`; other nested columns are not read.
    Errors: UserError if `source` is no Parquet, has no column of paths, or no or bad rows.
    """
    listed.check_file(source, kind="Parquet file")
    folder = source.resolve().parent
    with source.open("rb") as file:
        try:
            with schema.reading(repr(str(source))):
                parquet = pq.ParquetFile(file)
                columns = parquet.schema_arrow
            column = listed.file_column(columns.names, where=f"{str(source)!r}")
            with schema.reading(repr(str(source))):
                table = parquet.read(columns=_wanted(columns, column))
            schema.check_plain(table.schema, where=repr(str(source)))
            rows = table.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{str(source)!r} is no readable Parquet file: {error}; name another layout, or "
                "write the file anew"
            ) from error
    entries = [
        listed.to_entry(row, column=column, folder=folder, where=f"row {number} of {str(source)!r}")
        for number, row in enumerate(rows, start=1)
    ]
    return listed.check_any(entries, source)


def _wanted(columns: pa.Schema, column: str) -> list[str]:
    """Frames or embeddings beside the paths are not read, nor other objects."""
    return [
        field.name
        for field in columns
        if field.name in (column, "label", "labels")
        or not (
            pa.types.is_nested(field.type)
            or _is_bytes(field.type)
            or isinstance(field.type, pa.BaseExtensionType)
        )
    ]


def _is_bytes(kind: pa.DataType) -> bool:
    return (
        pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
        or pa.types.is_fixed_size_binary(kind)
    )
