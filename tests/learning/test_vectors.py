"""A matrix of the vectors that were asked for, in the order of the clips."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.features import FEATURES, select_features
from videoproc.learning.vectors import column_names, stack_vectors
from videoproc.types import UserError

TWO = select_features(["motion", "colour"])


def row(clip_id, feature, value):
    vector = [value] * feature.length
    return {"clip_id": clip_id, "feature_id": feature.feature_id, "vector": vector}


def test_rows_in_any_order_become_a_row_a_clip():
    rows = [row("b", TWO[1], 4), row("a", TWO[0], 1), row("b", TWO[0], 2), row("a", TWO[1], 3)]
    made = stack_vectors(rows, features=TWO, clip_ids=["a", "b"])
    motion, colour = (FEATURES[name].length for name in ("motion", "colour"))
    assert made.dtype == np.float32
    assert made.tolist() == [[1] * motion + [3] * colour, [2] * motion + [4] * colour]
    assert len(column_names(TWO)) == made.shape[1]
    assert column_names(TWO)[motion] == "colour.red_mean"


def test_other_clips_and_versions_are_passed_over():
    old = row("a", TWO[0], 9) | {"feature_id": "of another version"}
    rows = [row("a", TWO[0], 1), old, row("z", TWO[0], 5)]
    assert stack_vectors(rows, features=TWO[:1], clip_ids=["a"]).max() == 1


def test_a_clip_without_a_vector_is_named_with_the_remedy():
    rows = [row("a", TWO[0], 1), row("b", TWO[0], 1), row("a", TWO[1], 1)]
    with pytest.raises(UserError, match="'colour': 1 of 2 clips have none, such as b; run pipelin"):
        stack_vectors(rows, features=TWO, clip_ids=["a", "b"])
