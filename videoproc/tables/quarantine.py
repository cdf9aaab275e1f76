"""The quarantine: what failed, where, why and under which versions. Nothing fails in silence."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import av

from videoproc import schema
from videoproc.media import DECODE_VERSION
from videoproc.tables.table import Table
from videoproc.types import Row


def quarantine_row(
    *, video_id: str, uri: str, stage: str, error_class: str, message: str, recipe_id: str = ""
) -> Row:
    """A row of the quarantine table. The same failure of the same work has the same id."""
    return {
        "quarantine_id": _id(video_id, uri, stage, recipe_id),
        "video_id": video_id,
        "uri": uri,
        "stage": stage,
        "error_class": error_class,
        "message": message,
        "recipe_id": recipe_id,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": json.dumps(
            {"decode": DECODE_VERSION, "av": av.__version__, "ffmpeg": av.ffmpeg_version_info}
        ),
    }


def is_quarantined(
    *, known: set[str], video_id: str, uri: str, stage: str, recipe_id: str = ""
) -> bool:
    """Whether this work failed before under the same versions. `known`: the table's keys."""
    return _id(video_id, uri, stage, recipe_id) in known


def _id(video_id: str, uri: str, stage: str, recipe_id: str) -> str:
    # With the uri: a video that could not be reached is tried again where it has moved to.
    return schema.content_id(video_id, uri, stage, recipe_id, DECODE_VERSION)


def release(table: Table, *, stage: str, recipe_ids: Iterable[str]) -> None:
    """Take a stage's rows out of quarantine, so that its work is tried again."""
    for recipe_id in recipe_ids:
        table.delete(f"stage = '{stage}' AND recipe_id = '{recipe_id}'")
