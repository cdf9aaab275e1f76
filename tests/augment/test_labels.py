"""What a corpus declares of its labels decides what may be done to its clips."""

from __future__ import annotations

import pytest

from videoproc.augment import LabelRule
from videoproc.augment.labels import MIRRORS
from videoproc.augment.settings import NAMES
from videoproc.types import UserError


@pytest.mark.parametrize("name", MIRRORS)
def test_what_mirrors_space_or_time_must_be_declared(name):
    with pytest.raises(UserError, match=rf"'{name}' may change .* d: .*--keeps_labels \[{name}\]"):
        LabelRule().check([name], dataset="d")
    LabelRule(keeps=(name,)).check([name], dataset="d")


def test_all_others_are_used_unless_the_corpus_forbids_them():
    LabelRule().check([name for name in NAMES if name not in MIRRORS], dataset="d")
    with pytest.raises(
        UserError, match=r"'hue' changes the labels of dataset d, .*: switch it off"
    ):
        LabelRule(changes=("hue",)).check(["crop", "hue"], dataset="d")


def test_the_remedy_keeps_what_was_declared_before():
    rule = LabelRule(keeps=("flip_horizontal",))
    with pytest.raises(UserError, match=r"--keeps_labels \[flip_horizontal,reverse\]`"):
        rule.check(["flip_horizontal", "reverse"], dataset="d")


@pytest.mark.parametrize("setting", ["keeps", "changes"])
def test_a_name_that_is_no_augmentation_is_refused(setting):
    with pytest.raises(UserError, match=rf"{setting}_labels names 'flip', .*flip_horizontal"):
        LabelRule(**{setting: ("flip",)})


def test_nothing_both_keeps_and_changes_labels():
    with pytest.raises(UserError, match="both name 'crop'"):
        LabelRule(keeps=("crop",), changes=("crop", "hue"))
