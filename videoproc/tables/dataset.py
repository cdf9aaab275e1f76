"""A dataset: one folder that holds every table made from a corpus.

DIR/manifest     one row a video
DIR/files        one row a file of the corpus: what it looked like when it was last read
DIR/clips        frames by clip id
DIR/features     vectors by clip id and feature id
DIR/quarantine   what failed, where and why
DIR/predictions/<task>
DIR/recipe.json  the recipe of the clips; index.json and extract.json: how they were last made
DIR/forgotten    digests of videos that must not come back
DIR/lease        who works on it tonight
DIR/nights/      what each night did: records and reports
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from videoproc import schema, storage
from videoproc.storage import Anywhere
from videoproc.tables.recipe import Recipe
from videoproc.tables.table import LOG, Table
from videoproc.types import UserError


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The tables below one absolute folder. Nothing is read or made before it is asked for.

    Clips and features are the same objects each time: their keys are read once.
    """

    folder: Anywhere

    def __post_init__(self) -> None:
        if self.folder.is_file():
            raise UserError(f"data is {str(self.folder)!r}, which is a file: name a folder")

    @property
    def manifest(self) -> Table:
        return Table(folder=self.folder / "manifest", schema=schema.MANIFEST, key=("video_id",))

    @property
    def files(self) -> Table:
        return Table(folder=self.folder / "files", schema=schema.FILES, key=("uri",))

    @property
    def forgotten(self) -> Table:
        return Table(folder=self.folder / "forgotten", schema=schema.FORGOTTEN, key=("digest",))

    @property
    def lease(self) -> Table:
        return Table(folder=self.folder / "lease", schema=schema.LEASE, key=("holder",))

    @cached_property
    def clips(self) -> Table:
        return Table(folder=self.folder / "clips", schema=schema.CLIPS, key=("clip_id",))

    @cached_property
    def features(self) -> Table:
        return Table(
            folder=self.folder / "features", schema=schema.FEATURES, key=("clip_id", "feature_id")
        )

    @property
    def quarantine(self) -> Table:
        return Table(
            folder=self.folder / "quarantine", schema=schema.QUARANTINE, key=("quarantine_id",)
        )

    def predictions(self, *, task: str, columns: pa.Schema) -> Table:
        """The table of one task's predictions: the common keys, then the task's own columns."""
        return Table(
            folder=self.folder / "predictions" / task,
            schema=pa.schema([*schema.PREDICTION_KEYS, *columns]),
            key=("prediction_id",),
        )

    def prediction_tables(self) -> list[Table]:
        """The predictions of every task that has any, with the columns that they were given."""
        folder = self.folder / "predictions"
        # Without a log it is no table yet: a first job that was killed has left its shards.
        found = {
            name.parts[0]
            for path in storage.names_below(folder)
            if len((name := path.relative_to(folder)).parts) > 2 and name.parts[1] == LOG  # type: ignore[arg-type]
        }
        return [Table.opened(folder / task, key=("prediction_id",)) for task in sorted(found)]

    def tables(self) -> dict[str, Table]:
        """Every table that is there, by its name below the folder."""
        named = {
            name: getattr(self, name)
            for name in ("manifest", "files", "clips", "features", "quarantine", "forgotten")
        }
        named |= {f"predictions/{table.folder.name}": table for table in self.prediction_tables()}
        return {name: table for name, table in named.items() if table.exists}

    def delete_videos(self, video_ids: Collection[str]) -> dict[str, int]:
        """Delete the rows of videos from clips, features and predictions; how many, by table."""
        deleted = {name: t.delete("video_id", video_ids) for name, t in self._made().items()}
        return {name: count for name, count in deleted.items() if count}

    def prune(self) -> tuple[int, dict[str, int]]:
        """Delete the rows of videos that the manifest does not have: how many videos, and rows by
        table. Older versions keep theirs."""
        ids = [table.read(["video_id"])["video_id"] for table in self._made().values()]
        made = {video_id for column in ids for video_id in pc.unique(column).to_pylist()}
        gone = made - set(self.manifest.read(["video_id"])["video_id"].to_pylist())
        return len(gone), self.delete_videos(gone) if gone else {}

    def _made(self) -> dict[str, Table]:
        named = {f"predictions/{table.folder.name}": table for table in self.prediction_tables()}
        return named | {"features": self.features, "clips": self.clips}

    @property
    def recipe(self) -> Recipe:
        """The recipe that `extract` last followed here."""
        path = self.folder / "recipe.json"
        if not path.is_file():
            raise UserError(
                f"dataset {self.folder} has no clips yet: run `python -m pipelines.extract "
                f"--data {self.folder}` first"
            )
        return Recipe.from_json(path.read_text())

    def set_recipe(self, recipe: Recipe) -> None:
        self.write_text("recipe.json", recipe.to_json())

    def write_text(self, name: str, text: str) -> None:
        """A small file of the dataset's own, in place whole or not at all; untouched if equal."""
        if self.read_text(name) != text:
            storage.write_whole(self.folder / name, text.encode())

    def read_text(self, name: str) -> str | None:
        """What `write_text` has written; None where nothing has."""
        file = self.folder / name
        return file.read_text() if file.is_file() else None

    def require_manifest(self) -> pa.Table:
        """The manifest's rows; a dataset without one is the user's to mend."""
        if not self.manifest.exists:
            raise UserError(
                f"dataset {self.folder} has no manifest: run `python -m pipelines.index "
                f"--source CORPUS --data {self.folder}` first"
            )
        return self.manifest.read()


def read(
    data: str | Anywhere,
    table: str,
    columns: Sequence[str] | None = None,
    *,
    version: int | None = None,
) -> pa.Table:
    """A dataset's table for a notebook: `read("workspace/demo", "clips", ["clip_id", "view"])`.

    data: the dataset folder. table: manifest, files, clips, features, quarantine or
    predictions/<task>. version: as a run's tag `table_version.<table>` names it; by default the
    last. `videoproc.tables.decode_frames(row)` makes an array of a clip's frames.
    Errors: UserError where there is no such table or version.
    """
    there = Dataset(folder=storage.at(data)).tables()
    if table not in there:
        raise UserError(f"dataset {data} has no table {table!r}; there are {', '.join(there)}")
    return there[table].read(columns, version=version)
