"""A view is drawn from its clip id, once for all frames; view 0 is the clip itself."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc import schema
from videoproc.augment import Augmentation, augment_clip, make_views

STRONG = Augmentation(views=3, flip_horizontal=True, flip_vertical=True, min_crop_area=0.3)
IDS = [schema.content_id("clip", i) for i in range(8)]


@pytest.fixture
def row(noise):
    """A decoded clip of a video of which four clips are wanted: two spans in two views."""
    return {
        "video_id": "v",
        "clip_index": 1,
        "error_class": "",
        "shape": list(noise.shape),
        "dtype": "uint8",
        "frames": noise.tobytes(),
        "pts_s": [0.5, 1.0, 1.5],
        "frame_indices": [12, 24, 36],
        "wanted": [
            {"clip_index": index, "view": view, "clip_id": IDS[2 * index + view]}
            for index in range(2)
            for view in range(2)
        ],
    }


def test_the_same_id_draws_the_same_view(noise):
    first, again = (augment_clip(noise, augmentation=STRONG, clip_id=IDS[0]) for _ in range(2))
    assert (first == again).all()


def test_every_id_draws_another_view(noise):
    views = {augment_clip(noise, augmentation=STRONG, clip_id=i).tobytes() for i in IDS}
    assert len(views) == len(IDS)


def test_without_flips_left_stays_left():
    left_bright = np.zeros((1, 16, 16, 3), np.uint8)
    left_bright[:, :, :8] = 200
    for clip_id in IDS:
        made = augment_clip(left_bright, augmentation=Augmentation(views=2), clip_id=clip_id)
        assert made[:, :, :4].mean() > made[:, :, -4:].mean()


def test_a_clip_becomes_a_row_for_each_of_its_wanted_views(row):
    made = list(make_views(augmentation=STRONG)(row))
    assert [(r["view"], r["clip_id"]) for r in made] == [(0, IDS[2]), (1, IDS[3])]


def test_view_0_is_the_clip_itself(row, noise):
    clip, view = make_views(augmentation=STRONG)(row)
    assert (schema.frames_of(clip) == noise).all()
    assert (schema.frames_of(view) != noise).any()


def test_a_row_keeps_its_other_columns(row):
    clip, _ = make_views(augmentation=STRONG)(row)
    assert (clip["video_id"], clip["clip_index"], clip["shape"]) == ("v", 1, row["shape"])


def test_times_and_indices_say_which_frame_of_the_video_is_shown(row, noise):
    settings = Augmentation(views=2, min_crop_area=1.0, jitter=0.0, shift=0.9, reverse=True)
    row["wanted"] = [
        {"clip_index": 1, "view": view, "clip_id": IDS[view]} for view in range(len(IDS))
    ]
    clip, *views = make_views(augmentation=settings)(row)
    assert (clip["pts_s"], clip["frame_indices"]) == ([0.5, 1.0, 1.5], [12, 24, 36])
    assert len({tuple(view["frame_indices"]) for view in views}) > 2
    for view in views:
        shown = [index // 12 - 1 for index in view["frame_indices"]]
        assert (schema.frames_of(view) == noise[shown]).all()
        assert view["pts_s"] == [(t + 1) / 2 for t in shown]


def test_a_failed_row_passes_through_once_with_the_keys_of_a_good_one(row):
    good = next(make_views(augmentation=STRONG)(dict(row)))
    (bad,) = make_views(augmentation=STRONG)(row | {"error_class": "Crash", "clip_index": -1})
    assert (bad["error_class"], bad["clip_id"]) == ("Crash", "")
    assert bad.keys() == good.keys()
