"""Settings check themselves, and say what they use by the names that a corpus declares."""

from __future__ import annotations

import pytest

from videoproc.augment import Augmentation, StepAugmentation
from videoproc.augment.settings import NAMES

USES = {
    "flip_horizontal": {"flip_horizontal": True},
    "flip_vertical": {"flip_vertical": True},
    "crop": {"min_crop_area": 0.5},
    "rotate": {"rotate_deg": 10.0},
    "jitter": {"jitter": 0.1},
    "hue": {"hue_deg": 10.0},
    "grey": {"grey": 0.1},
    "blur": {"blur_px": 1.0},
    "noise": {"noise": 4.0},
    "erase": {"erase_area": 0.1},
    "compress": {"min_jpeg_quality": 40},
    "speed": {"max_speed": 1.5},
    "shift": {"shift": 0.1},
    "reverse": {"reverse": True},
    "drop": {"drop": 0.1},
}
NOTHING = {"views": 2, "min_crop_area": 1.0, "jitter": 0.0}


def test_every_augmentation_has_a_name_that_a_corpus_can_declare():
    assert {*USES, "mixup", "cutmix"} == set(NAMES)


@pytest.mark.parametrize("name", USES)
def test_what_is_switched_on_is_used_and_nothing_else(name):
    assert Augmentation(**NOTHING | USES[name]).used == (name,)


def test_without_views_nothing_is_used():
    assert Augmentation(flip_horizontal=True).used == ()


@pytest.mark.parametrize("name", ["crop_aspect", "max_h264_crf"])
def test_a_second_setting_of_a_kind_uses_it_too(name):
    used = Augmentation(**NOTHING | {name: 20 if name == "max_h264_crf" else 2.0}).used
    assert used == ({"crop_aspect": "crop", "max_h264_crf": "compress"}[name],)


def test_the_training_step_says_what_it_uses():
    step = StepAugmentation(flip_vertical=True, jitter=0.2, mixup=0.2, cutmix=1.0)
    assert step.used == ("flip_vertical", "jitter", "mixup", "cutmix")
    assert StepAugmentation().used == ()


def test_the_identity_has_what_decides_a_view_and_not_how_many_there_are():
    few, many = Augmentation(views=2, blur_px=1.0), Augmentation(views=5, blur_px=1.0)
    assert few.identity == many.identity
    assert few.identity != Augmentation(views=2, blur_px=2.0).identity


def test_what_is_left_at_its_default_is_no_part_of_the_identity():
    assert Augmentation(views=2).identity == {}
    assert Augmentation(views=2, grey=0.5).identity == {"grey": 0.5}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("views", 0),
        ("min_crop_area", 0.0),
        ("min_crop_area", 1.5),
        ("crop_aspect", 0.5),
        ("rotate_deg", -1.0),
        ("jitter", 1.0),
        ("hue_deg", 200.0),
        ("grey", 1.1),
        ("blur_px", -1.0),
        ("noise", 256.0),
        ("erase_area", 1.0),
        ("min_jpeg_quality", 0),
        ("max_h264_crf", 17),
        ("max_speed", 0.5),
        ("shift", 1.0),
        ("drop", float("nan")),
    ],
)
def test_wrong_values_are_refused(field, value):
    with pytest.raises(ValueError, match=rf"augmentation\.{field} is {value}: use"):
        Augmentation(**{field: value})


@pytest.mark.parametrize("field", ["mixup", "cutmix", "jitter"])
def test_wrong_values_of_the_training_step_are_refused(field):
    with pytest.raises(ValueError, match=rf"loop\.augmentation\.{field} is -1.0: use"):
        StepAugmentation(**{field: -1.0})
