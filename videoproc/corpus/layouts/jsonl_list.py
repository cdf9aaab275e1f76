"""JSON lines that list the videos: one object a line."""

from __future__ import annotations

import json

from videoproc.corpus.layouts import listed
from videoproc.corpus.layouts.entry import Entry
from videoproc.storage import Anywhere
from videoproc.types import Row, UserError


def list_videos(source: Anywhere) -> list[Entry]:
    """The objects of the file `source`, in its order; see `listed` for the keys.

    Several labels of a video are a list under `labels`. Empty lines are passed over.
    Errors: UserError if `source` is no file of JSON lines, or a line is bad or has no path.
    """
    listed.check_file(source, kind="file of JSON lines")
    folder = source.resolve().parent
    entries = []
    for number, line in enumerate(listed.text_lines(source), start=1):
        if line.strip():
            where = f"line {number} of {str(source)!r}"
            row = _parse(line, where)
            column = listed.file_column(row, where=where)
            entries.append(listed.to_entry(row, column=column, folder=folder, where=where))
    return listed.check_any(entries, source)


def _parse(line: str, where: str) -> Row:
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{where} is no JSON ({error.msg} at column {error.colno}): {_shown(line)}; write one "
            "object a line"
        ) from error
    if not isinstance(row, dict):
        raise UserError(f'{where} is {_shown(line)}; write an object such as {{"file": "a.mp4"}}')
    return row


def _shown(line: str) -> str:
    text = line.strip()
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
