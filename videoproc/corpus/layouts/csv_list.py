"""A CSV that lists the videos, one a row."""

from __future__ import annotations

import csv

from videoproc.corpus.layouts import listed
from videoproc.corpus.layouts.entry import Entry
from videoproc.storage import Anywhere
from videoproc.types import Row, UserError

BETWEEN_LABELS = ";"


def list_videos(source: Anywhere) -> list[Entry]:
    """The rows of the CSV `source`, in its order; see `listed` for the columns.

    Several labels of a video stand under `labels`, divided by semicolons.
    Errors: UserError if `source` is no readable CSV, has no column of paths, or no or bad rows.
    """
    listed.check_file(source, kind="CSV")
    folder = source.resolve().parent
    reader = csv.DictReader(listed.text_lines(source), restval="", strict=True)
    try:
        column = listed.file_column(reader.fieldnames or (), where=f"{str(source)!r}")
        entries = []
        for row in reader:
            where = f"line {reader.line_num} of {str(source)!r}"
            entries.append(
                listed.to_entry(_values(row, where), column=column, folder=folder, where=where)
            )
    except csv.Error as error:
        raise UserError(
            f"line {reader.reader.line_num} of {str(source)!r} is no CSV: {error}; mend the "
            "line, or name another layout"
        ) from error
    return listed.check_any(entries, source)


def _values(row: Row, where: str) -> Row:
    if None in row:
        raise UserError(
            f"{where} has more cells than the header ({row[None]!r}); quote the cells with commas"  # type: ignore[index]
        )
    if "labels" not in row:
        return row
    return row | {"labels": row["labels"].split(BETWEEN_LABELS)}
