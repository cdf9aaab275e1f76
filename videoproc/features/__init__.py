"""Clip to vector, one file a family. To add one: a file here and a line in FEATURES."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from videoproc import schema
from videoproc.features import colour, motion
from videoproc.features.feature import Feature
from videoproc.types import Row, UserError

FEATURES: dict[str, Feature] = {
    "colour": colour.FEATURE,
    "motion": motion.FEATURE,
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
        yield row | {
            "features": [feature.name for feature in made],
            "feature_ids": [feature.feature_id for feature in made],
            "vectors": [feature.compute(schema.frames_of(row)).tolist() for feature in made],
        }

    return step


__all__ = ["FEATURES", "Feature", "compute_features", "select_features"]
