"""A dataset: one folder that holds every table made from a corpus.

DIR/manifest     one row a video
DIR/clips        frames by clip id
DIR/features     vectors by clip id and feature id
DIR/quarantine   what failed, where and why
DIR/predictions/<task>
DIR/recipe.json  how the clips were last made
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from videoproc import schema
from videoproc.tables.recipe import Recipe
from videoproc.tables.table import Table
from videoproc.types import UserError


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The tables below one absolute folder. Nothing is read or made before it is asked for."""

    folder: Path

    def __post_init__(self) -> None:
        if self.folder.exists() and not self.folder.is_dir():
            raise UserError(f"data is {str(self.folder)!r}, which is a file: name a folder")

    @property
    def manifest(self) -> Table:
        return Table(folder=self.folder / "manifest", schema=schema.MANIFEST, key=("video_id",))

    @property
    def clips(self) -> Table:
        return Table(folder=self.folder / "clips", schema=schema.CLIPS, key=("clip_id",))

    @property
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
        temporary = self.folder / ".recipe.json.tmp"
        temporary.write_text(recipe.to_json())
        temporary.rename(self.folder / "recipe.json")

    def require_manifest(self) -> pa.Table:
        """The manifest's rows; a dataset without one is the user's to mend."""
        if not self.manifest.exists:
            raise UserError(
                f"dataset {self.folder} has no manifest: run `python -m pipelines.index "
                f"--source CORPUS --data {self.folder}` first"
            )
        return self.manifest.read()
