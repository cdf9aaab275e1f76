"""A matrix of the vectors that were asked for, in the order of the clips."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from videoproc import schema
from videoproc.features import FEATURES, select_features
from videoproc.learning.vectors import Vectors, all_vectors, column_names, stack_vectors
from videoproc.tables import Dataset
from videoproc.types import UserError

SCHEMA = pa.schema([schema.FEATURES.field(name) for name in ("clip_id", "feature_id", "vector")])
TWO = select_features(["motion", "colour"])


def row(clip_id, feature, value):
    vector = [value] * feature.length
    return {"clip_id": clip_id, "feature_id": feature.feature_id, "vector": vector}


def parts(*rows):
    """Tables of at most two rows, as shards are read."""
    return [pa.Table.from_pylist(rows[i : i + 2], schema=SCHEMA) for i in range(0, len(rows), 2)]


def test_rows_in_any_order_become_a_row_a_clip():
    rows = [row("b", TWO[1], 4), row("a", TWO[0], 1), row("b", TWO[0], 2), row("a", TWO[1], 3)]
    made = stack_vectors(parts(*rows), features=TWO, clip_ids=["a", "b"])
    motion, colour = (FEATURES[name].length for name in ("motion", "colour"))
    assert made.dtype == np.float32
    assert made.tolist() == [[1] * motion + [3] * colour, [2] * motion + [4] * colour]
    assert len(column_names(TWO)) == made.shape[1]
    assert column_names(TWO)[motion] == "colour.red_mean"


def test_other_clips_and_versions_are_passed_over():
    old = row("a", TWO[0], 9) | {"feature_id": "of another version"}
    rows = [row("a", TWO[0], 1), old, row("z", TWO[0], 5)]
    assert stack_vectors(parts(*rows), features=TWO[:1], clip_ids=["a"]).max() == 1


def test_no_clips_have_no_rows():
    made = stack_vectors(parts(row("a", TWO[0], 1)), features=TWO[:1], clip_ids=[])
    assert made.shape == (0, TWO[0].length)


def test_a_clip_without_a_vector_is_named_with_the_remedy():
    rows = [row("a", TWO[0], 1), row("b", TWO[0], 1), row("a", TWO[1], 1)]
    with pytest.raises(UserError, match="'colour': 1 of 2 clips have none, such as b; run pipelin"):
        stack_vectors(parts(*rows), features=TWO, clip_ids=["a", "b"])


@pytest.fixture
def dataset(tmp_path):
    """Clip a has motion and colour, b motion alone; later b has colour too."""
    made = Dataset(folder=tmp_path / "data")
    stored = [row("a", TWO[0], 1), row("b", TWO[0], 2), row("a", TWO[1], 3), row("b", TWO[1], 4)]
    stored = [one | {"video_id": "v", "feature": "-"} for one in stored]
    made.features.append_rows(stored[:3])
    made.features.append_rows(stored[3:])
    return made


def test_a_datasets_vectors_come_in_the_order_of_the_clips_asked_for(dataset):
    vectors = Vectors(data=dataset.folder, version=2, features=("colour",))
    assert vectors.matrix(["b", "a", "b"])[:, 0].tolist() == [4, 3, 4]


def test_vectors_are_those_of_their_version_whatever_has_come_in_since(dataset):
    of_before = Vectors(data=dataset.folder, version=1, features=("motion", "colour"))
    assert of_before.matrix(["a"]).shape == (1, len(column_names(TWO)))
    with pytest.raises(UserError, match="'colour': 1 of 1 clips have none, such as b"):
        of_before.matrix(["b"])


def test_all_vectors_are_those_that_any_of_the_clips_has(dataset):
    assert all_vectors(dataset, clip_ids=["b"]).features == ("colour", "motion")
    assert all_vectors(dataset, clip_ids=["b"]).version == 2


@pytest.mark.parametrize("clip_ids", [["z"], []])
def test_without_any_the_command_that_makes_them_is_named(dataset, clip_ids):
    with pytest.raises(UserError, match=r"no vector of these clips: run `python -m pipelines\.ext"):
        all_vectors(dataset, clip_ids=clip_ids)
    with pytest.raises(UserError, match=r"--features \[colour,motion,"):
        all_vectors(Dataset(folder=dataset.folder / "none"), clip_ids=clip_ids)


@pytest.mark.parametrize(
    ("features", "said"),
    [
        ((), "none is named"),
        (("motion", "motion"), "one twice"),
        (("taste",), "no feature 'taste'"),
    ],
)
def test_features_that_make_no_matrix_are_refused(dataset, features, said):
    with pytest.raises(UserError, match=said):
        Vectors(data=dataset.folder, version=0, features=features)
