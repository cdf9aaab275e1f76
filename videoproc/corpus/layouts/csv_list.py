"""A CSV that lists the videos, one a row."""

from __future__ import annotations

import csv
import os.path
from pathlib import Path

from videoproc import storage
from videoproc.corpus.layouts.entry import Entry
from videoproc.storage import Anywhere
from videoproc.types import UserError

FILE_COLUMNS = ("file", "uri", "path")


def list_videos(source: Anywhere) -> list[Entry]:
    """The rows of the CSV `source`, in its order.

    A column `file` (or `uri`, or `path`) names the video, relative to the CSV's folder or
    absolute; `label` is optional, and empty where unknown. All columns are kept, so that a split
    can be grouped by any of them. Whether the files exist is not looked at here.
    Errors: UserError if `source` is no readable CSV, has no such column, or has no or bad rows.
    """
    if not source.is_file():
        raise UserError(f"corpus {str(source)!r} is not a file; give the CSV that lists the videos")
    try:
        with source.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            names = reader.fieldnames or ()
            rows = list(reader)
    except (csv.Error, UnicodeDecodeError) as error:
        raise UserError(f"{str(source)!r} is not a CSV in UTF-8: {error}") from error
    column = next((name for name in FILE_COLUMNS if name in names), None)
    if column is None:
        raise UserError(
            f"{str(source)!r} has the columns {', '.join(names)}, none of which is "
            f"{', '.join(FILE_COLUMNS)}; name the one that holds the videos' paths so"
        )
    if not rows:
        raise UserError(f"{str(source)!r} lists no video; add a row for each")
    folder = source.resolve().parent
    return [
        _entry(row, folder=folder, column=column, where=f"row {number} of {str(source)!r}")
        for number, row in enumerate(rows, start=2)
    ]


def _entry(row: dict[str, str], *, folder: Anywhere, column: str, where: str) -> Entry:
    if None in row:
        raise UserError(f"{where} has more cells than the header; quote the cells with commas")
    if not row[column].strip():
        raise UserError(f"{where} has nothing under {column!r}; give a path or remove the row")
    return Entry(
        # Not resolved: a link keeps its own name, which a group may be read from.
        uri=_uri(folder, row[column].strip()),
        labels=(label,) if (label := row.get("label", "").strip()) else (),
        columns={name: cell.strip() for name, cell in row.items()},
    )


def _uri(folder: Anywhere, name: str) -> str:
    if "://" in name:
        return str(storage.at(name))
    place = folder / name
    return os.path.normpath(place) if isinstance(place, Path) else str(place)
