"""The contract of every kind of augmentation, and what moves with the pixels."""

from __future__ import annotations

import json

import numpy as np
import pytest

from videoproc import schema
from videoproc.augment import Augmentation, draw_view
from videoproc.augment.view import KINDS
from videoproc.corpus.synthetic.truth import decode_mask
from videoproc.geometry import boxes as box_functions
from videoproc.media import Sampling, Size, read_clips

NOTHING = {"views": 2, "min_crop_area": 1.0, "jitter": 0.0}
STRONG = {
    "timing": {"max_speed": 2.0, "shift": 0.3, "reverse": True, "drop": 0.3},
    "flip": {"flip_horizontal": True, "flip_vertical": True},
    "crop": {"min_crop_area": 0.3, "crop_aspect": 2.0},
    "rotate": {"rotate_deg": 90.0},
    "jitter": {"jitter": 0.5},
    "hue": {"hue_deg": 180.0},
    "grey": {"grey": 1.0},
    "blur": {"blur_px": 3.0},
    "noise": {"noise": 20.0},
    "erase": {"erase_area": 0.5},
    "compress": {"min_jpeg_quality": 20, "max_h264_crf": 40},
}
ALL = NOTHING | {name: value for kind in STRONG.values() for name, value in kind.items()}
SEEDS = [[int(schema.content_id("clip", i), 16)] for i in range(6)]
FLICKERS = ("noise", "compress")  # noise is anew in each frame; H.264 refines what stands still

each_kind = pytest.mark.parametrize("kind", KINDS)


def view_of(clip, seed, **settings):
    return draw_view(clip.shape[:3], augmentation=Augmentation(**settings), seed=seed)


def test_every_kind_is_in_this_contract():
    assert set(STRONG) == set(KINDS)


@each_kind
def test_the_same_seed_draws_the_same_bytes_and_another_seed_others(kind, noise):
    made = [view_of(noise, seed, **NOTHING | STRONG[kind]).frames(noise) for seed in SEEDS]
    again = [view_of(noise, seed, **NOTHING | STRONG[kind]).frames(noise) for seed in SEEDS]
    assert all((a == b).all() for a, b in zip(made, again, strict=True))
    different = {frames.tobytes() for frames in made}
    assert len(different) > 1 or kind == "grey"  # there is one grey


@each_kind
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 9, 5), (4, 2, 31), (3, 33, 48)])
def test_shape_and_type_stay_at_any_size_and_the_input_is_left_alone(kind, shape):
    clip = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    before = clip.copy()
    clip.flags.writeable = False
    for seed in SEEDS:
        made = view_of(clip, seed, **NOTHING | STRONG[kind]).frames(clip)
        assert (made.shape, made.dtype) == (clip.shape, np.uint8)
    assert (clip == before).all()


@each_kind
def test_parameters_hold_over_the_frames_so_that_a_still_clip_stays_still(kind, noise):
    still = np.repeat(noise[:1], 5, axis=0)
    for seed in SEEDS:
        made = view_of(still, seed, **NOTHING | STRONG[kind]).frames(still)
        assert (made == made[:1]).all() or kind in FLICKERS


def test_jpeg_keeps_a_still_clip_still_too(noise):
    still = np.repeat(noise[:1], 5, axis=0)
    made = view_of(still, SEEDS[0], **NOTHING, min_jpeg_quality=20).frames(still)
    assert (made == made[:1]).all()


def test_what_is_off_changes_no_byte(noise):
    for seed in SEEDS:
        view = view_of(noise, seed, **NOTHING)
        assert view.params == {}
        assert view.frames(noise) is noise


@each_kind
def test_switching_a_kind_off_leaves_the_draws_of_the_others_as_they_were(kind, noise):
    off = {name: getattr(Augmentation(**NOTHING), name) for name in STRONG[kind]}
    for seed in SEEDS:
        everything, without = view_of(noise, seed, **ALL), view_of(noise, seed, **ALL | off)
        others = {name: p for name, p in everything.params.items() if name != kind}
        assert without.params == others


GEOMETRIC = {
    "flip": STRONG["flip"],
    "crop": {"min_crop_area": 0.5, "crop_aspect": 1.5},
    "rotate": {"rotate_deg": 45.0},
    "all": STRONG["flip"] | {"min_crop_area": 0.7, "crop_aspect": 1.3, "rotate_deg": 30.0},
}
each_geometry = pytest.mark.parametrize("name", GEOMETRIC)


def box_of(mask_hw):
    rows, columns = np.flatnonzero(mask_hw.any(1)), np.flatnonzero(mask_hw.any(0))
    if not len(rows):
        return None
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.fixture
def square():
    """A clip in which a white square moves; its masks and boxes."""
    masks = np.zeros((5, 61, 80), bool)
    for t in range(5):
        masks[t, 20 + 2 * t : 34 + 2 * t, 25 + 4 * t : 39 + 4 * t] = True
    boxes = [box_of(mask)[None].astype(float) for mask in masks]
    return np.repeat(masks[..., None], 3, axis=-1).astype(np.uint8) * 255, masks, boxes


@each_geometry
@pytest.mark.parametrize("seed", SEEDS)
def test_the_box_of_a_square_is_the_box_of_its_pixels(name, seed, square):
    clip, _, boxes = square
    view = view_of(clip, seed, **NOTHING | GEOMETRIC[name])
    made, (_, height, width) = view.frames(clip), clip.shape[:3]
    for frame, moved in zip(made, view.boxes(boxes), strict=True):
        found = box_of(frame[..., 0] > 25)  # the tip of a corner covers little of a pixel
        if found is None:
            assert (box_functions.areas(moved) < 25).all()
            continue
        (box,) = moved
        # Upscaled by a crop, an edge is as soft as a pixel was wide.
        scale = np.abs(np.linalg.svd(view.matrix[:2, :2])[1]).max()
        cut = (box == 0) | (box == [width, height, width, height])
        assert np.abs(box - found)[~cut].max(initial=0) <= 1.0 * scale
        assert np.abs(box - found)[cut].max(initial=0) <= 1.0


@each_geometry
@pytest.mark.parametrize("seed", SEEDS)
def test_the_mask_of_a_square_is_its_pixels(name, seed, square):
    clip, masks, _ = square
    view = view_of(clip, seed, **NOTHING | GEOMETRIC[name])
    white, mask = view.frames(clip)[..., 0] > 127, view.masks(masks)
    edge = np.zeros_like(mask)
    for axis in (1, 2):  # pixels beside the mask's edge may round either way
        for way in (-1, 1):
            edge |= np.roll(mask, way, axis) != mask
    assert (white == mask)[~edge].all()
    assert (white != mask).sum() <= 0.5 * edge.sum()


@pytest.mark.parametrize("seed", SEEDS)
def test_boxes_and_masks_move_in_time_with_their_frames(seed, square):
    clip, masks, boxes = square
    view = view_of(clip, seed, **NOTHING | STRONG["timing"])
    made = view.frames(clip)
    assert (view.masks(masks) == (made[..., 0] > 127)).all()
    for frame, (box,) in zip(made, view.boxes(boxes), strict=True):
        assert (box == box_of(frame[..., 0] > 127)).all()


def test_boxes_of_a_frame_without_any_and_of_one_with_several_move_too(noise):
    view = view_of(noise, SEEDS[0], **NOTHING, flip_horizontal=True, flip_vertical=True)
    boxes = [np.zeros((0, 4)), np.array([[0, 0, 2, 2], [1, 1, 5, 9.0]]), np.zeros((0, 4))]
    assert [moved.shape for moved in view.boxes(boxes)] == [(0, 4), (2, 4), (0, 4)]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_span_is_when_the_view_shows_what_happens_in_it(seed):
    # Each frame tells whether the event is on: 100 frames of 0.1 s from second 3.
    times_s = 3 + (np.arange(100) + 0.5) / 10
    spans = np.array([[6.0, 9.5]])
    clip = np.zeros((100, 2, 2, 3), np.uint8)
    clip[(times_s >= 6) & (times_s < 9.5)] = 255
    settings = NOTHING | {"max_speed": 2.0, "shift": 0.2, "reverse": True}
    view = view_of(clip, seed, **settings)
    ((start_s, end_s),) = view.spans(spans, start_s=3.0, end_s=13.0)
    shown = np.flatnonzero(view.frames(clip)[:, 0, 0, 0])
    assert start_s == pytest.approx(3 + shown[0] / 10, abs=0.11)
    assert end_s == pytest.approx(3 + (shown[-1] + 1) / 10, abs=0.11)


def test_the_corpus_known_boxes_and_masks_stay_on_its_shapes(corpus):
    # Where a mask was, the picture differs from the scene behind it: it does so where it moved to.
    truth = json.loads((corpus / "truth" / "cam00_000.json").read_text())
    (clip,) = read_clips(
        corpus / truth["file"],
        sampling=Sampling(num_frames=8),
        size=Size(height=truth["height"], width=truth["width"]),
        spans=[(0.0, 100.0)],
    )
    frames = clip.frames_thwc
    entries = [truth["frames"][i] for i in clip.frame_indices]
    assert all(len(entry["masks"]) == 1 for entry in entries)
    size = {"height": truth["height"], "width": truth["width"]}
    masks = np.stack([decode_mask(entry["masks"][0], **size) for entry in entries])
    boxes = [np.array(entry["boxes"], float) for entry in entries]
    settings = NOTHING | GEOMETRIC["all"] | {"reverse": True, "shift": 0.2}
    for seed in SEEDS:
        view = view_of(frames, seed, **settings)
        moved_masks, moved_boxes = view.masks(masks), view.boxes(boxes)
        inside = [box_of(mask) for mask in moved_masks]
        for box, found in zip(moved_boxes, inside, strict=True):
            if found is not None:  # a turned box is around the mask, not less than it
                assert (box[0, :2] <= found[:2] + 1.5).all()
                assert (box[0, 2:] >= found[2:] - 1.5).all()
        vividness = np.ptp(view.frames(frames).astype(int), axis=-1)
        on, off = vividness[moved_masks].mean(), vividness[~moved_masks].mean()
        assert on > 1.5 * off, "shapes are vivid, the scene is muted"
