"""The quarantine: what failed, where, why, how often and under which versions.

Nothing fails in silence, and what has failed is not tried again each night: a row is held until it
is marked for a retry, its file changes, or DECODE_VERSION is raised.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import av
import pyarrow as pa
import pyarrow.compute as pc

from videoproc import schema
from videoproc.masking import masked, masked_uri
from videoproc.media import DECODE_VERSION
from videoproc.tables.table import Table
from videoproc.types import Row


def quarantine_row(
    *,
    video_id: str,
    digest: str,
    uri: str,
    stage: str,
    error_class: str,
    message: str,
    recipe_id: str = "",
) -> Row:
    """A first failure as a row. The same failure of the same work has the same id.

    People read it: its uri and message are without secrets.
    """
    now = _now()
    return {
        "quarantine_id": quarantine_id(video_id, uri, stage, recipe_id),
        "video_id": video_id,
        "digest": digest,
        "uri": masked_uri(uri),
        "stage": stage,
        "recipe_id": recipe_id,
        "error_class": error_class,
        "message": masked(message),
        "attempts": 1,
        "first_time": now,
        "last_time": now,
        "retry": False,
        "versions": json.dumps(
            {"decode": DECODE_VERSION, "av": av.__version__, "ffmpeg": av.ffmpeg_version_info}
        ),
    }


def quarantine_id(video_id: str, uri: str, stage: str, recipe_id: str = "") -> str:
    """With the uri: a video that could not be reached is tried again where it has moved to."""
    return schema.content_id(video_id, uri, stage, recipe_id, DECODE_VERSION)


def put(table: Table, rows: Sequence[Row]) -> None:
    """Take rows in; one that is there already has failed once more, and is held again."""
    if not rows:
        return

    def change(before: pa.Table) -> pa.Table:
        known = {row["quarantine_id"]: row for row in before.to_pylist()}
        for row in rows:
            earlier = known.get(row["quarantine_id"])
            counted = _once_more(earlier, row) if earlier else row
            known[row["quarantine_id"]] = counted
        return _in_order(known.values())

    table.update(change)


def held(table: Table) -> dict[str, str]:
    """What is left alone, rows that are not marked for a retry: the class of error by id."""
    rows = table.read(["quarantine_id", "error_class", "retry"])
    rows = rows.filter(pc.invert(rows["retry"]))
    return dict(
        zip(rows["quarantine_id"].to_pylist(), rows["error_class"].to_pylist(), strict=True)
    )


def release(table: Table, ids: Collection[str]) -> None:
    """Take rows out: what they name has succeeded, or is gone."""
    table.delete("quarantine_id", ids)


def choose(
    table: Table,
    *,
    stage: str | None = None,
    error_class: str | None = None,
    min_age_days: float = 0.0,
) -> list[Row]:
    """The rows of a stage, of an error class, whose last failure is at least so long ago."""
    latest = (datetime.now(UTC) - timedelta(days=min_age_days)).isoformat(timespec="seconds")
    return [
        row
        for row in table.read().to_pylist()
        if stage in (None, row["stage"])
        and error_class in (None, row["error_class"])
        and row["last_time"] <= latest
    ]


def chosen_for_retry(table: Table, *, stage: str) -> list[Row]:
    """The rows of a stage that are marked for a retry."""
    return [row for row in choose(table, stage=stage) if row["retry"]]


def mark_for_retry(table: Table, ids: Collection[str]) -> None:
    """The next job that comes to these rows' work tries it again."""
    wanted = pa.array(sorted(ids), pa.string())

    def change(before: pa.Table) -> pa.Table:
        marked = pc.or_(before["retry"], pc.is_in(before["quarantine_id"], wanted))
        return before.set_column(before.schema.get_field_index("retry"), "retry", marked)

    if ids:
        table.update(change)


def _once_more(earlier: Mapping[str, object], row: Row) -> Row:
    attempts = int(str(earlier["attempts"])) + 1
    return row | {"attempts": attempts, "first_time": earlier["first_time"]}


def _in_order(rows: Iterable[Row]) -> pa.Table:
    ordered = sorted(rows, key=lambda row: str(row["quarantine_id"]))
    return pa.Table.from_pylist(ordered, schema=schema.QUARANTINE)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
