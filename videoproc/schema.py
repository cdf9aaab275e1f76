"""The Arrow schema of every table, and how each id is made.

Ids come from content, never from a counter or a clock: making a thing again gives the same id,
so doing work twice cannot double a row. Integers are signed and bytes are plain `binary`, since
Delta tables know nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from videoproc.types import Row, UserError

MANIFEST = pa.schema(
    [
        ("video_id", pa.string()),
        ("digest", pa.string()),
        ("uri", pa.string()),
        ("size_bytes", pa.int64()),
        ("codec", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("num_frames", pa.int64()),
        ("duration_s", pa.float64()),
        ("flags", pa.list_(pa.string())),  # hdr, interlaced, truncated
        ("labels", pa.list_(pa.string())),
        ("group", pa.string()),
        ("split", pa.string()),
        ("error", pa.string()),
    ]
)

FILES = pa.schema(
    [
        ("uri", pa.string()),
        ("size_bytes", pa.int64()),
        ("stamp", pa.string()),  # changes when the file does: its time, or a store's etag
        ("examined", pa.int32()),  # the EXAMINE_VERSION that looked at it
        ("digest", pa.string()),
        ("codec", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("fps", pa.float64()),
        ("num_frames", pa.int64()),
        ("duration_s", pa.float64()),
        ("flags", pa.list_(pa.string())),
        ("error", pa.string()),
    ]
)
"""What each file was found to be, so that none is read again that has not changed."""

CLIPS = pa.schema(
    [
        ("clip_id", pa.string()),
        ("video_id", pa.string()),
        ("recipe_id", pa.string()),
        ("view", pa.int32()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("frame_indices", pa.list_(pa.int64())),
        ("pts_s", pa.list_(pa.float64())),
        ("shape", pa.list_(pa.int32())),  # T, H, W, C
        ("dtype", pa.string()),
        ("encoding", pa.string()),  # raw or jpeg
        ("frames", pa.list_(pa.binary())),  # one a frame: H x W x C values, or a JPEG file
    ]
)

FEATURES = pa.schema(
    [
        ("clip_id", pa.string()),
        ("feature_id", pa.string()),
        ("video_id", pa.string()),
        ("feature", pa.string()),
        ("vector", pa.list_(pa.float32())),
    ]
)

QUARANTINE = pa.schema(
    [
        ("quarantine_id", pa.string()),
        ("video_id", pa.string()),
        ("digest", pa.string()),
        ("uri", pa.string()),
        ("stage", pa.string()),
        ("recipe_id", pa.string()),
        ("error_class", pa.string()),
        ("message", pa.string()),
        ("attempts", pa.int32()),
        ("first_time", pa.string()),  # ISO 8601, UTC
        ("last_time", pa.string()),
        ("retry", pa.bool_()),
        ("versions", pa.string()),
    ]
)

FORGOTTEN = pa.schema([("digest", pa.string()), ("video_id", pa.string()), ("time", pa.string())])
"""Videos that somebody has asked to forget. Nothing but their digests is kept."""

LEASE = pa.schema(
    [
        ("holder", pa.string()),
        ("job", pa.string()),
        ("host", pa.string()),
        ("machine", pa.string()),
        ("pid", pa.int64()),
        ("since", pa.string()),
        ("renewed_s", pa.float64()),
    ]
)

PREDICTION_KEYS = pa.schema(
    [
        ("prediction_id", pa.string()),
        ("run_id", pa.string()),
        ("clip_id", pa.string()),
        ("video_id", pa.string()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
    ]
)
"""What every task's predictions begin with; the task's own columns follow."""


PLANTED = "whose values may run code: put the file back as it was, or leave it out"


@contextmanager
def reading(where: object) -> Iterator[None]:
    """UserError where a file's schema cannot even be read, since Ray's extension types, once they
    are registered, meet settings that they do not understand. Arrow's own errors stay."""
    try:
        yield
    except (UserError, pa.ArrowException):
        raise
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # Not in the words of Ray, which name a setting that opens pickles.
        raise UserError(f"a column of {where} claims to be of an extension type, {PLANTED}") from (
            error
        )


def check_plain(columns: pa.Schema, *, where: object) -> None:
    """UserError where a column is of an extension type, as no table here has: Ray registers one
    whose values are pickles, which run code when they become Python objects."""
    for field in columns:
        if _is_extended(field.type):
            raise UserError(
                f"column {field.name!r} of {where} is of the extension type {_name(field.type)}, "
                f"{PLANTED}"
            )


def _is_extended(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_extended(kind.value_type)
    return isinstance(kind, pa.BaseExtensionType) or any(
        _is_extended(kind.field(i).type) for i in range(kind.num_fields)
    )


def _name(kind: pa.DataType) -> str:
    return str(kind.extension_name) if isinstance(kind, pa.BaseExtensionType) else str(kind)


def content_id(*parts: Any) -> str:
    """32 hex digits of BLAKE2b over the parts, in canonical JSON."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def video_id(digest: str) -> str:
    """A video is its bytes: the first 32 hex digits of their SHA-256."""
    return digest[:32]


def frames_of(row: Row) -> np.ndarray:
    """The frames of a clip row between steps, in its shape (T, H, W, C), read-only, no copy.

    There they are raw and in one piece; `videoproc.tables.decode_frames` takes rows of the table.
    """
    return np.frombuffer(row["frames"], dtype=row["dtype"]).reshape(row["shape"])
