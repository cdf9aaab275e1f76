"""Rows of the features table as a matrix: one row a clip, feature beside feature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from videoproc.features import FEATURES, Feature, select_features
from videoproc.storage import Anywhere
from videoproc.tables import Dataset
from videoproc.types import UserError

COLUMNS = ("clip_id", "feature_id", "vector")


@dataclass(frozen=True, kw_only=True)
class Vectors:
    """Where the vectors of clips lie. It holds none, so that it travels cheaply to whoever learns.

    data: the dataset's folder. version: of its features table. features: by name, in the order of
    the matrix's columns.
    """

    data: Anywhere
    version: int
    features: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.features:
            raise UserError("features: none is named; name one or more")
        if len(set(self.features)) < len(self.features):
            raise UserError(f"features: {', '.join(self.features)} names one twice")
        _ = self.selected

    @property
    def selected(self) -> list[Feature]:
        return select_features(self.features)

    def matrix(self, clip_ids: Sequence[str]) -> np.ndarray:
        """(clips, columns) float32 in this order; a clip may be there several times.

        Errors: UserError for a clip that lacks a vector.
        """
        parts = Dataset(folder=self.data).features.parts(COLUMNS, version=self.version)
        different = list(dict.fromkeys(clip_ids))
        made = stack_vectors(parts, features=self.selected, clip_ids=different)
        place = {clip_id: i for i, clip_id in enumerate(different)}
        return made[[place[clip_id] for clip_id in clip_ids]]


def all_vectors(dataset: Dataset, *, clip_ids: Sequence[str]) -> Vectors:
    """All features that any of the clips has, in the order of FEATURES; a UserError where none."""
    version, wanted, there = dataset.features.version, pa.array(clip_ids, pa.string()), set()
    if version >= 0:
        for part in dataset.features.parts(COLUMNS[:2], version=version):
            kept = part.filter(pc.is_in(part["clip_id"], wanted))
            there |= set(pc.unique(kept["feature_id"]).to_pylist())
    names = tuple(name for name, feature in FEATURES.items() if feature.feature_id in there)
    if not names:
        raise UserError(
            f"dataset {dataset.folder} has no vector of these clips: run `python -m "
            f"pipelines.extract --data {dataset.folder} --features [{','.join(FEATURES)}]`"
        )
    return Vectors(data=dataset.folder, version=version, features=names)


def column_names(features: Sequence[Feature]) -> tuple[str, ...]:
    """The names of the matrix's columns, such as "flow.speed_mean"."""
    return tuple(f"{feature.name}.{column}" for feature in features for column in feature.columns)


def stack_vectors(
    parts: Iterable[pa.Table], *, features: Sequence[Feature], clip_ids: Sequence[str]
) -> np.ndarray:
    """(clips, columns) float32, from tables with `clip_id`, `feature_id` and `vector`.

    Rows of other clips, features and versions are passed over. Errors: UserError for a clip that
    lacks a vector.
    """
    place = {clip_id: i for i, clip_id in enumerate(clip_ids)}
    wanted = pa.array(clip_ids, pa.string())
    stops = np.cumsum([feature.length for feature in features])
    made = np.full((len(clip_ids), stops[-1]), np.nan, np.float32)
    for part in parts:
        of_clips = part.filter(pc.is_in(part["clip_id"], wanted))
        for feature, stop in zip(features, stops, strict=True):
            rows = of_clips.filter(pc.equal(of_clips["feature_id"], feature.feature_id))
            if len(rows):
                values = pc.list_flatten(rows["vector"]).to_numpy().reshape(-1, feature.length)
                where = [place[clip_id] for clip_id in rows["clip_id"].to_pylist()]
                made[where, stop - feature.length : stop] = values
    for feature, stop in zip(features, stops, strict=True):
        lacking = np.isnan(made[:, stop - feature.length])
        if lacking.any():
            raise UserError(
                f"feature {feature.name!r}: {lacking.sum()} of {len(clip_ids)} clips have none, "
                f"such as {clip_ids[int(lacking.argmax())]}; run pipelines.extract with it in "
                "--features"
            )
    return made
