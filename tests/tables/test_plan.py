"""What is left to do is what is wanted less what is in."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from videoproc.augment import Augmentation
from videoproc.features import FEATURES
from videoproc.media import Sampling
from videoproc.tables import Recipe
from videoproc.tables import plan as plan_module
from videoproc.tables.plan import plan_work
from videoproc.tables.quarantine import quarantine_row

RECIPE = Recipe(sampling=Sampling(clip_s=1.0), augmentation=Augmentation(views=2))
COLOUR, MOTION = FEATURES["colour"], FEATURES["motion"]


@pytest.fixture
def videos(make_video):
    return [make_video("v"), make_video("w")]


def clips_of(video):
    return list(RECIPE.clips_of(video))


def plan(videos, *, features: Sequence = (), clips=(), vectors=(), quarantined=(), **others):
    return plan_work(
        videos=videos,
        recipe=RECIPE,
        features=features,
        clip_keys={clip.clip_id for clip in clips},
        feature_keys={f"{clip.clip_id}/{feature.feature_id}" for clip, feature in vectors},
        held=dict.fromkeys(quarantined, "Crash"),
        **others,
    )


def rows_of(work):
    return [row for window in work.windows() for row in window]


def test_at_first_every_video_is_decoded(videos):
    work = plan(videos)
    assert [row["uri"] for row in rows_of(work)] == ["v", "w"]
    assert [len(row["wanted"]) for row in rows_of(work)] == [4, 4]
    assert [len(row["spans"]) for row in rows_of(work)] == [2, 2]
    assert (work.num_clips, work.is_empty) == (8, False)


def test_rows_are_made_a_window_at_a_time(videos, monkeypatch):
    monkeypatch.setattr(plan_module, "WINDOW", 1)
    assert [[row["uri"] for row in window] for window in plan(videos).windows()] == [["v"], ["w"]]


def test_a_video_whose_clips_are_in_is_not_decoded(videos):
    work = plan(videos, clips=clips_of(videos[0]))
    assert [row["uri"] for row in rows_of(work)] == ["w"]
    assert work.done == [clip.clip_id for clip in clips_of(videos[0])]


def test_only_the_spans_of_missing_clips_are_decoded(videos):
    clips = clips_of(videos[0])
    (row,) = rows_of(plan(videos[:1], clips=clips[:3]))
    assert [span["clip_index"] for span in row["spans"]] == [1]
    assert [clip["clip_id"] for clip in row["wanted"]] == [clips[3].clip_id]


def test_clips_that_lack_a_feature_are_measured(videos):
    clips = clips_of(videos[0])
    vectors = [(clip, COLOUR) for clip in clips] + [(clips[0], MOTION)]
    work = plan(videos[:1], features=[COLOUR, MOTION], clips=clips, vectors=vectors)
    assert (work.videos, work.measure) == ([], [clip.clip_id for clip in clips[1:]])
    assert work.measured == videos[:1]


def test_clips_are_measured_anew_from_their_own_spans_only(videos):
    clips = clips_of(videos[0])
    vectors = [(clip, COLOUR) for clip in clips[:3]]
    work = plan(videos[:1], features=[COLOUR], clips=clips, vectors=vectors)
    ((row,),) = work.windows_to_measure()
    assert [span["clip_index"] for span in row["spans"]] == [1]
    assert [clip["clip_id"] for clip in row["wanted"]] == [clips[3].clip_id]


def test_a_quarantined_video_is_left_alone_and_counted(videos):
    row = quarantine_row(
        video_id=videos[0].video_id,
        digest="",
        uri="v",
        stage="decode",
        error_class="Crash",
        message="",
        recipe_id=RECIPE.recipe_id,
    )
    work = plan(videos, quarantined=[row["quarantine_id"]])
    assert [row["uri"] for row in rows_of(work)] == ["w"]
    assert work.held == {"Crash": 1}


def test_a_video_that_failed_under_another_recipe_is_tried(videos):
    row = quarantine_row(
        video_id=videos[0].video_id,
        digest="",
        uri="v",
        stage="decode",
        error_class="Crash",
        message="",
        recipe_id="another",
    )
    work = plan(videos, quarantined=[row["quarantine_id"]])
    assert (len(work.videos), work.held) == (2, {})


def test_without_views_the_clips_themselves_are_enough(videos):
    clips = [clip for clip in clips_of(videos[0]) if clip.view == 0]
    assert plan(videos[:1], clips=clips, all_views=False).is_empty
