"""A dataset is one folder; what is missing from it is said with its remedy."""

from __future__ import annotations

import pyarrow as pa
import pytest

from videoproc import schema
from videoproc.media import Sampling
from videoproc.tables import Dataset, Recipe
from videoproc.types import UserError


def test_a_dataset_without_manifest_names_the_job_that_makes_one(dataset):
    with pytest.raises(UserError, match=r"has no manifest: run `python -m pipelines\.index"):
        dataset.require_manifest()


def test_a_dataset_without_clips_names_the_job_that_makes_them(dataset):
    with pytest.raises(UserError, match=r"no clips yet: run `python -m pipelines\.extract"):
        _ = dataset.recipe


def test_a_file_is_no_dataset(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file: name a folder"):
        Dataset(folder=tmp_path / "file")


def test_the_recipe_is_kept(dataset):
    dataset.folder.mkdir()
    recipe = Recipe(sampling=Sampling(num_frames=3, clip_s=1.5))
    dataset.set_recipe(recipe)
    assert dataset.recipe == recipe


def test_predictions_have_their_tasks_columns_behind_the_common_keys(dataset):
    columns = pa.schema([("label", pa.string())])
    table = dataset.predictions(task="classification", columns=columns)
    assert table.schema.names == [*schema.PREDICTION_KEYS.names, "label"]


def test_predictions_of_two_tasks_lie_apart(dataset):
    columns = pa.schema([("label", pa.string())])
    folders = {dataset.predictions(task=t, columns=columns).folder for t in ("one", "two")}
    assert len(folders) == 2


def test_predictions_whose_first_commit_never_came_are_no_table(dataset):
    shard = dataset.folder / "predictions" / "classification" / "part-0.parquet"
    shard.parent.mkdir(parents=True)
    shard.write_bytes(b"of a job that was killed")
    (dataset.folder / "predictions" / ".DS_Store").touch()
    assert dataset.prediction_tables() == []
    assert dataset.tables() == {}


def test_rows_of_videos_that_are_gone_go_from_every_table_also_after_a_kill(dataset, clip_rows):
    rows = clip_rows(4)
    ids = sorted({row["video_id"] for row in rows})
    dataset.clips.append_rows(rows)
    dataset.features.append_rows(
        [
            {"clip_id": r["clip_id"], "feature_id": "f", "video_id": r["video_id"]}
            | {"feature": "colour", "vector": [0.0]}
            for r in rows
        ]
    )
    dataset.manifest.append_rows(
        [{"video_id": ids[0], "digest": ids[0] * 2, "uri": "a", "size_bytes": 1, "labels": []}]
    )
    dataset.clips.delete("video_id", [ids[1]])  # and then the job was killed
    assert dataset.prune() == (1, {"features": 2})
    assert dataset.prune() == (0, {})
    assert set(dataset.features.read(["video_id"])["video_id"].to_pylist()) == {ids[0]}
