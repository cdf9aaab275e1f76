"""Steps at the tables' edge: stored clips in, shards out. They run in workers and never commit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from videoproc import schema, storage
from videoproc.storage import Anywhere
from videoproc.tables.clip_reader import ClipReader, Place, locate_clips
from videoproc.tables.frames import FrameFormat, decode_frames, encode_frames
from videoproc.tables.table import Table
from videoproc.tables.write import Shard, write_shard
from videoproc.types import FETCHED, SECONDS, Row

RECEIPT = pa.schema(
    [
        ("num_rows", pa.int64()),
        ("video_ids", pa.list_(pa.string())),
        ("bytes_fetched", pa.int64()),
        (
            "shards",
            pa.list_(
                pa.struct(
                    [
                        ("table", pa.string()),
                        ("name", pa.string()),
                        ("size_bytes", pa.int64()),
                        ("num_rows", pa.int64()),
                        ("keys", pa.list_(pa.string())),
                    ]
                )
            ),
        ),
        (
            "failures",
            pa.list_(
                pa.struct(
                    [
                        ("video_id", pa.string()),
                        ("uri", pa.string()),
                        ("stage", pa.string()),
                        ("error_class", pa.string()),
                        ("message", pa.string()),
                    ]
                )
            ),
        ),
        ("seconds", pa.list_(pa.struct([("step", pa.string()), ("seconds", pa.float64())]))),
    ]
)
"""What comes back to the driver for each batch of rows: slim, whatever the size of the frames."""


@dataclass(frozen=True, kw_only=True)
class Output:
    """Where rows of a batch go: `select` makes the table's rows out of the good rows."""

    name: str
    folder: Anywhere
    key: tuple[str, ...]
    select: Callable[[pa.Table], pa.Table]


def output(name: str, table: Table, select: Callable[[pa.Table], pa.Table]) -> Output:
    """The output that writes into `table`."""
    return Output(name=name, folder=table.folder, key=table.key, select=select)


def write_shards(*, outputs: Sequence[Output]) -> Callable[[pa.Table], pa.Table]:
    """A sink: a batch of rows becomes one shard an output, and one receipt."""

    def sink(batch: pa.Table) -> pa.Table:
        started = time.perf_counter()
        failed = pc.not_equal(batch["error_class"], "")
        good = batch.filter(pc.invert(failed))
        shards = list(_written(good, outputs))
        written = {"step": "write", "seconds": time.perf_counter() - started}
        receipt: dict[str, Any] = {
            "num_rows": good.num_rows,
            "video_ids": pc.unique(batch["video_id"]).to_pylist(),
            "bytes_fetched": pc.sum(batch[FETCHED]).as_py() if FETCHED in batch.column_names else 0,
            "shards": shards,
            "failures": batch.filter(failed)
            .select(["video_id", "uri", "stage", "error_class", "message"])
            .to_pylist(),
            "seconds": [written]
            + [
                {"step": name.removeprefix(SECONDS), "seconds": pc.sum(batch[name]).as_py()}
                for name in batch.column_names
                if name.startswith(SECONDS)
            ],
        }
        return pa.Table.from_pylist([receipt], schema=RECEIPT)

    return sink


def _written(good: pa.Table, outputs: Sequence[Output]) -> Iterator[Row]:
    for target in outputs:
        rows = target.select(good)
        if rows.num_rows:
            shard: Shard = write_shard(target.folder, rows, key=target.key)
            yield {
                "table": target.name,
                "name": shard.name,
                "size_bytes": shard.size_bytes,
                "num_rows": shard.num_rows,
                "keys": list(shard.keys),
            }


def select_clips(recipe_id: str, *, frame_format: FrameFormat) -> Callable[[pa.Table], pa.Table]:
    """The rows of the clips table in a batch, their frames encoded."""

    def select(good: pa.Table) -> pa.Table:
        rows = good.select(["frames", "shape", "dtype"]).to_pylist()
        made = {
            "recipe_id": [recipe_id] * len(rows),
            "encoding": [frame_format.encoding] * len(rows),
            "frames": [encode_frames(schema.frames_of(row), frame_format) for row in rows],
        }
        columns = {
            field.name: pa.array(made[field.name], field.type)
            if field.name in made
            else good[field.name].cast(field.type)
            for field in schema.CLIPS
        }
        return pa.table(columns, schema=schema.CLIPS)

    return select


def as_stored(*, frame_format: FrameFormat) -> Callable[[Row], Iterator[Row]]:
    """A step: a decoded clip's frames as the table would give them back, with JPEG's losses."""

    def step(row: Row) -> Iterator[Row]:
        if row["error_class"] or not frame_format.is_lossy:
            yield row
            return
        encoded = encode_frames(schema.frames_of(row), frame_format)
        stored = row | {"encoding": frame_format.encoding, "frames": encoded}
        yield row | {"frames": decode_frames(stored).tobytes()}

    return step


def select_features(good: pa.Table) -> pa.Table:
    """The rows of the features table in a batch: one for each clip and feature."""
    rows = [
        {
            "clip_id": row["clip_id"],
            "feature_id": feature_id,
            "video_id": row["video_id"],
            "feature": feature,
            "vector": vector,
        }
        for row in good.select(
            ["clip_id", "video_id", "features", "feature_ids", "vectors"]
        ).to_pylist()
        for feature, feature_id, vector in zip(
            row["features"], row["feature_ids"], row["vectors"], strict=True
        )
    ]
    return pa.Table.from_pylist(rows, schema=schema.FEATURES)


def stored_rows(table: Table, clip_ids: Sequence[str]) -> list[Row]:
    """The rows that `read_stored_clips` takes, for clips that the table holds."""
    places = locate_clips(table, clip_ids)
    return [
        {"path": str(place.path), "row_group": place.row_group, "row": place.row}
        for place in places.values()
    ]


def read_stored_clips() -> Callable[[Row], Iterator[Row]]:
    """A step: the place of a clip becomes the clip's row, as `decode_clips` would have made it."""
    reader = ClipReader()

    def step(row: Row) -> Iterator[Row]:
        place = Place(storage.at(row["path"]), row["row_group"], row["row"])
        clip = reader(place)
        # Ray pickles what is not plain, and a memoryview cannot be.
        plain = clip | {"frames": bytes(clip["frames"])}
        yield plain | {"uri": "", "stage": "", "error_class": "", "message": ""}

    return step
