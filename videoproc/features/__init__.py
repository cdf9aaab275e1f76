"""Clip to vector, one file a family. To add one: a file here and a line in FEATURES."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from videoproc import schema
from videoproc.features import (
    colour,
    colour_histogram,
    colour_moments,
    flow,
    motion,
    motion_history,
    motion_spectrum,
    shape_contours,
    shape_edges,
    shape_hog,
    shape_moments,
    space_time,
    texture_cooccurrence,
    texture_lbp,
    texture_tamura,
)
from videoproc.features.feature import Feature
from videoproc.types import Row, UserError

FEATURES: dict[str, Feature] = {
    "colour": colour.FEATURE,
    "motion": motion.FEATURE,
    "colour_histogram": colour_histogram.FEATURE,
    "colour_moments": colour_moments.FEATURE,
    "texture_cooccurrence": texture_cooccurrence.FEATURE,
    "texture_lbp": texture_lbp.FEATURE,
    "texture_tamura": texture_tamura.FEATURE,
    "shape_moments": shape_moments.FEATURE,
    "shape_contours": shape_contours.FEATURE,
    "shape_hog": shape_hog.FEATURE,
    "shape_edges": shape_edges.FEATURE,
    "flow": flow.FEATURE,
    "motion_history": motion_history.FEATURE,
    "motion_spectrum": motion_spectrum.FEATURE,
    "space_time": space_time.FEATURE,
}


def select_features(names: Sequence[str]) -> list[Feature]:
    """The features of these names; an unknown name is the user's to mend."""
    unknown = [name for name in names if name not in FEATURES]
    if unknown:
        raise UserError(f"features: no feature {unknown[0]!r}; there are {', '.join(FEATURES)}")
    return [FEATURES[name] for name in names]


def compute_features(*, features: Sequence[Feature]) -> Callable[[Row], Iterator[Row]]:
    """A step: adds to a clip row the columns `features`, `feature_ids` and `vectors`."""

    def step(row: Row) -> Iterator[Row]:
        made = [] if row["error_class"] else features
        pts_s = np.array(row["pts_s"], np.float64)
        yield row | {
            "features": [feature.name for feature in made],
            "feature_ids": [feature.feature_id for feature in made],
            "vectors": [feature.compute(schema.frames_of(row), pts_s).tolist() for feature in made],
        }

    return step


__all__ = ["FEATURES", "Feature", "compute_features", "select_features"]
