"""Tables to write into, and rows to write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from videoproc import schema
from videoproc.tables import Dataset, Shard, Table, write_shard
from videoproc.types import Row, Video

NUMBERS = pa.schema([("id", pa.string()), ("value", pa.int64())])


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """An empty table of strings and numbers, keyed by `id`."""
    return Table(folder=tmp_path / "numbers", schema=NUMBERS, key=("id",))


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(folder=tmp_path / "data")


@pytest.fixture(scope="session")
def shard_of() -> Callable[..., Shard]:
    """Writes a shard into a table's folder and commits nothing."""

    def write(table: Table, *ids: str, value: int = 0) -> Shard:
        rows = pa.Table.from_pylist([{"id": i, "value": value} for i in ids], schema=NUMBERS)
        return write_shard(table.folder, rows, key=table.key)

    return write


@pytest.fixture(scope="session")
def clip_rows() -> Callable[..., list[Row]]:
    """Rows of the clips table with frames of noise, so that they do not compress."""

    def make(count: int, *, side: int = 8, num_frames: int = 2) -> list[Row]:
        shape = (num_frames, side, side, 3)
        return [
            {
                "clip_id": schema.content_id("clip", i),
                "video_id": schema.content_id("video", i // 2),
                "recipe_id": "recipe",
                "view": i % 2,
                "start_s": 0.0,
                "end_s": 1.0,
                "frame_indices": list(range(num_frames)),
                "pts_s": [t / 10 for t in range(num_frames)],
                "shape": list(shape),
                "dtype": "uint8",
                "encoding": "raw",
                "frames": [
                    frame.tobytes()
                    for frame in np.random.default_rng(i).integers(0, 256, shape, np.uint8)
                ],
            }
            for i in range(count)
        ]

    return make


@pytest.fixture(scope="session")
def between_steps() -> Callable[[Row], Row]:
    """A row of the clips table as the steps pass it on: frames raw and in one piece."""

    def make(row: Row) -> Row:
        kept = {name: value for name, value in row.items() if name != "encoding"}
        return kept | {"frames": b"".join(row["frames"])}

    return make


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Video]:
    """A manifest row that no file stands behind."""

    def make(uri: str, *, duration_s: float = 2.0) -> Video:
        digest = hashlib.sha256(uri.encode()).hexdigest()
        return Video(
            video_id=schema.video_id(digest),
            digest=digest,
            uri=uri,
            size_bytes=1,
            num_frames=24,
            duration_s=duration_s,
        )

    return make
