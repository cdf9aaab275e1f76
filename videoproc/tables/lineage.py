"""From a video to everything that was made of it: which table versions hold it, which files."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow.compute as pc

from videoproc.storage import Anywhere
from videoproc.tables.dataset import Dataset
from videoproc.tables.table import Table, read_parquet


@dataclass(frozen=True, kw_only=True)
class Trace:
    """Where a table holds a video: rows in its last version, versions that have any, their files.

    unreadable: versions whose files are gone, by a vacuum say.
    """

    rows: int
    versions: tuple[int, ...]
    unreadable: tuple[int, ...]
    files: tuple[Anywhere, ...]


def trace(table: Table, video_id: str) -> Trace:
    """Look a video up in every version of a table. Each file's ids are read once."""
    counts: dict[Anywhere, int | None] = {}

    def count(path: Anywhere) -> int | None:
        if path not in counts:
            counts[path] = _rows_of(path, video_id)
        return counts[path]

    last, versions, unreadable = table.version, [], []
    for version in range(last + 1):
        found = [count(path) for path in table.files(version=version)]
        if any(found):
            versions.append(version)
        if None in found:
            unreadable.append(version)
    return Trace(
        rows=sum(count(path) or 0 for path in table.files()),
        versions=tuple(versions),
        unreadable=tuple(unreadable),
        files=tuple(path for path, rows in counts.items() if rows),
    )


def traces(dataset: Dataset, video_id: str) -> dict[str, Trace]:
    """The trace of a video in each table that has a column for it."""
    return {
        name: trace(table, video_id)
        for name, table in dataset.tables().items()
        if "video_id" in table.schema.names and name != "forgotten"
    }


def predicted_by(dataset: Dataset, video_id: str) -> dict[str, set[str]]:
    """The runs whose predictions of a video stand in the tables now, by table."""
    found: dict[str, set[str]] = {}
    for table in dataset.prediction_tables():
        rows = table.read(["video_id", "run_id"])
        runs = rows.filter(pc.equal(rows["video_id"], video_id))["run_id"].to_pylist()
        if runs:
            found[f"predictions/{table.folder.name}"] = set(runs)
    return found


def as_ranges(numbers: Iterable[int]) -> str:
    """`0-3, 5, 7-9`: many versions in a line."""
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in parts) or "none"


def _rows_of(path: Anywhere, video_id: str) -> int | None:
    try:
        ids = read_parquet(path, ["video_id"])["video_id"]
    except FileNotFoundError:
        return None
    return int(pc.sum(pc.equal(ids, video_id)).as_py() or 0)
