from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from videoproc import schema
from videoproc.augment import Augmentation
from videoproc.learning.samples import Sample, find_samples, read_sample
from videoproc.tables import Dataset, Recipe
from videoproc.tables.clip_reader import ClipReader
from videoproc.types import Video


def test_each_stored_clip_is_there_once_in_the_order_of_ids(
    samples: list[Sample], videos: list[Video]
) -> None:
    ids = [sample.row["clip_id"] for sample in samples]
    assert ids == sorted(set(ids))
    assert {sample.row["video_id"] for sample in samples} == {v.video_id for v in videos}


def test_the_order_does_not_depend_on_the_order_of_the_manifest(
    dataset: Dataset, recipe: Recipe, videos: list[Video], samples: list[Sample]
) -> None:
    assert find_samples(dataset, recipe=recipe, videos=videos[::-1], all_views=False) == samples


def test_a_sample_carries_the_manifests_present_label_and_group(
    dataset: Dataset, recipe: Recipe, videos: list[Video]
) -> None:
    corrected = replace(videos[0], labels=("corrected",), group="elsewhere")
    (sample,) = find_samples(dataset, recipe=recipe, videos=[corrected], all_views=False)
    assert (sample.row["label"], sample.row["group"]) == ("corrected", "elsewhere")


def test_reading_a_sample_gives_the_frames_of_its_own_clip(
    dataset: Dataset, samples: list[Sample]
) -> None:
    stored = dataset.clips.read(["clip_id", "frames"]).to_pylist()
    frames = {row["clip_id"]: b"".join(row["frames"]) for row in stored}
    reader = ClipReader()
    for sample in samples[::7]:
        row = read_sample(sample, reader)
        assert row["frames"] == frames[sample.row["clip_id"]]
        assert schema.frames_of(row).shape == (3, 8, 8, 3)


def test_videos_that_could_not_be_read_or_stored_are_left_out(
    dataset: Dataset, recipe: Recipe, videos: list[Video]
) -> None:
    unreadable = replace(videos[0], error="moov atom not found")
    never_stored = replace(videos[1], video_id="f" * 32)
    found = find_samples(
        dataset, recipe=recipe, videos=[unreadable, never_stored, videos[2]], all_views=False
    )
    assert [sample.row["video_id"] for sample in found] == [videos[2].video_id]


@pytest.mark.parametrize(("all_views", "views"), [(True, [0, 1]), (False, [0])])
def test_augmented_views_come_only_when_asked_for(
    tmp_path: Path, recipe: Recipe, videos: list[Video], all_views: bool, views: list[int]
) -> None:
    augmented = replace(recipe, augmentation=Augmentation(views=2))
    dataset = Dataset(folder=tmp_path)
    rows = [
        {"clip_id": clip.clip_id, "video_id": clip.video_id, "view": clip.view}
        for clip in augmented.clips_of(videos[0])
    ]
    dataset.clips.append_rows(rows)
    found = find_samples(dataset, recipe=augmented, videos=videos[:1], all_views=all_views)
    assert sorted(sample.row["view"] for sample in found) == views
