"""Rows of the features table as a matrix: one row a clip, feature beside feature."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from videoproc.features import Feature
from videoproc.types import Row, UserError


def column_names(features: Sequence[Feature]) -> tuple[str, ...]:
    """The names of the matrix's columns, such as "flow.speed_mean"."""
    return tuple(f"{feature.name}.{column}" for feature in features for column in feature.columns)


def stack_vectors(
    rows: Iterable[Row], *, features: Sequence[Feature], clip_ids: Sequence[str]
) -> np.ndarray:
    """(clips, columns) float32, from rows with `clip_id`, `feature_id` and `vector`.

    Rows of other clips, features and versions are passed over. Errors: UserError for a clip that
    lacks a vector.
    """
    place = {clip_id: i for i, clip_id in enumerate(clip_ids)}
    stops = np.cumsum([feature.length for feature in features])
    spans = {
        feature.feature_id: (stop - feature.length, stop)
        for feature, stop in zip(features, stops, strict=True)
    }
    made = np.full((len(clip_ids), stops[-1]), np.nan, np.float32)
    for row in rows:
        if row["clip_id"] in place and row["feature_id"] in spans:
            start, stop = spans[row["feature_id"]]
            made[place[row["clip_id"]], start:stop] = row["vector"]
    for feature in features:
        lacking = np.isnan(made[:, spans[feature.feature_id][0]])
        if lacking.any():
            raise UserError(
                f"feature {feature.name!r}: {lacking.sum()} of {len(clip_ids)} clips have none, "
                f"such as {clip_ids[int(lacking.argmax())]}; run pipelines.extract with it in "
                "--features"
            )
    return made
