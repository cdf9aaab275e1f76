"""An id changes with everything that changes a clip's bytes, and with nothing else."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from videoproc.augment import Augmentation
from videoproc.media import Sampling, Size
from videoproc.tables import FrameFormat, Recipe

RECIPE = Recipe(augmentation=Augmentation(views=2))


def ids(recipe, video):
    return [clip.clip_id for clip in recipe.clips_of(video)]


@pytest.mark.parametrize(
    "change",
    [
        {"sampling": Sampling(num_frames=8)},
        {"sampling": Sampling(burst_frames=2)},
        {"sampling": Sampling(clip_s=1.0)},
        {"size": Size(height=64)},
        {"frames": FrameFormat(encoding="jpeg")},
        {"frames": FrameFormat(encoding="jpeg", quality=75)},
    ],
    ids=str,
)
def test_what_changes_the_frames_changes_every_id(make_video, change):
    video = make_video("v")
    assert not set(ids(RECIPE, video)) & set(ids(replace(RECIPE, **change), video))


def test_each_quality_of_jpeg_has_ids_of_its_own_and_raw_has_no_quality(make_video):
    def of(encoding, quality):
        frames = FrameFormat(encoding=encoding, quality=quality)
        return ids(Recipe(frames=frames), make_video("v"))

    assert of("jpeg", 90) != of("jpeg", 75)
    assert of("raw", 90) == of("raw", 75)


def test_what_changes_the_augmentation_changes_the_views_and_not_the_clip(make_video):
    video = make_video("v")
    changed = replace(RECIPE, augmentation=Augmentation(views=2, jitter=0.1))
    (clip, view), (same_clip, other_view) = ids(RECIPE, video), ids(changed, video)
    assert clip == same_clip
    assert view != other_view


def test_more_views_keep_those_there_are(make_video):
    video = make_video("v")
    more = replace(RECIPE, augmentation=Augmentation(views=4))
    assert ids(more, video)[:2] == ids(RECIPE, video)


def test_every_clip_of_every_video_has_an_id_of_its_own(make_video):
    recipe = Recipe(sampling=Sampling(clip_s=0.5), augmentation=Augmentation(views=3))
    found = [i for name in ("v", "w") for i in ids(recipe, make_video(name))]
    assert len(set(found)) == len(found) == 2 * 4 * 3


def test_without_views_only_the_clips_themselves_are_wanted(make_video):
    assert [clip.view for clip in RECIPE.clips_of(make_video("v"), all_views=False)] == [0]


def test_a_recipe_survives_json():
    recipe = Recipe(
        sampling=Sampling(num_frames=6, burst_frames=3, clip_s=2.5),
        size=Size(height=10, width=20),
        augmentation=Augmentation(views=3, flip_horizontal=True),
        frames=FrameFormat(encoding="jpeg", quality=70),
    )
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_a_recipe_of_before_there_were_frame_formats_is_of_raw_frames():
    values = json.loads(RECIPE.to_json())
    del values["frames"]
    assert Recipe.from_json(json.dumps(values)).frames == FrameFormat(encoding="raw")
