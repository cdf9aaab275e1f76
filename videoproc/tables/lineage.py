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


def trace(table: Table, column: str, value: str) -> Trace:
    """Look for rows of a value in every version of a table. The log and each file are read once."""
    counts: dict[str, int | None] = {}
    live: set[str] = set()
    versions, unreadable = [], []
    holding, missing = set[str](), set[str]()
    for version, added, removed in table.history():
        for name in set(added) - set(counts):
            counts[name] = _rows_of(table.folder / name, column, value)
        live = (live - set(removed)) | set(added)
        holding = (holding - set(removed)) | {name for name in added if counts[name]}
        missing = (missing - set(removed)) | {name for name in added if counts[name] is None}
        if holding:
            versions.append(version)
        if missing:
            unreadable.append(version)
    return Trace(
        rows=sum(counts[name] or 0 for name in live),
        versions=tuple(versions),
        unreadable=tuple(unreadable),
        files=tuple(table.folder / name for name, rows in counts.items() if rows),
    )


def traces(dataset: Dataset, *, video_id: str, digest: str) -> dict[str, Trace]:
    """The trace of a video in each table."""
    return {
        name: trace(table, "video_id", video_id)
        if "video_id" in table.schema.names
        else trace(table, "digest", digest)
        for name, table in dataset.tables().items()
        if name != "forgotten"
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


def _rows_of(path: Anywhere, column: str, value: str) -> int | None:
    try:
        values = read_parquet(path, [column])[column]
    except FileNotFoundError:
        return None
    return int(pc.sum(pc.equal(values, value)).as_py() or 0)
