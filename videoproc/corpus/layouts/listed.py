"""What all lists of videos share: a column of paths, labels, a split, and errors that name lines.

A list has a column `file` (or `uri`, or `path`), relative to the list's folder or absolute, and
may have `label` (one), `labels` (several) and `split` (train, val or test), each empty where
unknown. All other plain values are kept as text, so that a split can be grouped by any of them.
Whether the videos exist is not looked at here.
"""

from __future__ import annotations

import json
import os.path
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from videoproc import storage
from videoproc.corpus.layouts.entry import SPLITS, Entry
from videoproc.storage import Anywhere
from videoproc.types import Row, UserError

FILE_COLUMNS = ("file", "uri", "path")


def check_file(source: Anywhere, *, kind: str) -> None:
    """UserError where `source` is not the file that lists the videos."""
    if not source.is_file():
        raise UserError(
            f"corpus {str(source)!r} is not a file; give the {kind} that lists the videos"
        )


def text_lines(source: Anywhere) -> Iterator[str]:
    """The lines of a text file with their ends, without a byte order mark.

    Errors: UserError at the first line that is not UTF-8.
    """
    with source.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise UserError(
                    f"line {number} of {str(source)!r} is not UTF-8 (byte "
                    f"0x{line[error.start]:02x}); name a text file, and save it as UTF-8"
                ) from error


def file_column(names: Iterable[str], *, where: str) -> str:
    """The column that holds the paths. `where`: the list or its line, for the error."""
    names = list(names)
    column = next((name for name in FILE_COLUMNS if name in names), None)
    if column is None:
        raise UserError(
            f"{where} has the columns {', '.join(names) or '(none)'}, none of which is "
            f"{', '.join(FILE_COLUMNS)}; name the one that holds the videos' paths so"
        )
    return column


def check_any(entries: list[Entry], source: Anywhere) -> list[Entry]:
    """The entries; UserError where there are none."""
    if not entries:
        raise UserError(f"{str(source)!r} lists no video; add a row for each")
    return entries


def to_entry(row: Row, *, column: str, folder: Anywhere, where: str) -> Entry:
    """The video that a row describes. `column`: of its path. `folder`: what that is relative to.
    `where`: the row's place, for errors ("line 3 of 'videos.csv'").

    Errors: UserError where there is no path, a label is no plain value, or the split is unknown.
    """
    path = row[column].strip() if isinstance(row[column], str) else None
    if not path:
        given = repr(row[column]) if path is None and row[column] is not None else "nothing"
        raise UserError(f"{where} has {given} under {column!r}; give a path or remove the row")
    return Entry(
        # Not resolved: a link keeps its own name, which a group may be read from.
        uri=_uri(folder, path),
        labels=_labels(row, where),
        split=_split(row, where),
        columns={name: to_text(value) for name, value in row.items() if is_plain(value)},
    )


def is_plain(value: Any) -> bool:
    """Whether a value is text, a number, a time or the like: no list, no mapping, no bytes."""
    return not isinstance(value, (list, tuple, dict, bytes))


def to_text(value: Any) -> str:
    """A plain value as it stands in a column: text without its margins, `true`, 3, 0.5."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, bool) else str(value).strip()


def _labels(row: Row, where: str) -> tuple[str, ...]:
    several = row.get("labels") or []
    if not isinstance(several, list):
        raise UserError(f"{where} has {several!r} under 'labels'; give a list of texts, or 'label'")
    labels = [row.get("label"), *several]
    if wrong := [label for label in labels if not is_plain(label)]:
        raise UserError(f"{where} has the label {wrong[0]!r}; give a text, several under 'labels'")
    return tuple(sorted({text for label in labels if (text := to_text(label))}))


def _split(row: Row, where: str) -> str | None:
    split = to_text(row.get("split"))
    if split and split not in SPLITS:
        raise UserError(
            f"{where} has the split {split!r}; give {', '.join(SPLITS)} or nothing (rename the "
            "column if it means something else)"
        )
    return split or None


def _uri(folder: Anywhere, name: str) -> str:
    if "://" in name:
        with suppress(UserError):  # where it is in no store, reading it says so, of it alone
            name = str(storage.at(name))
        return name
    place = folder / name
    if isinstance(place, Path):
        return os.path.normpath(place)
    scheme, _, key = str(place).partition("://")
    return f"{scheme}://{posixpath.normpath(key)}"
