"""Masks moved by affine maps, against NumPy's own moves."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.geometry import affine, masks


@pytest.fixture
def labels():
    return np.random.default_rng(0).integers(0, 9, (3, 8, 8))


def test_nothing_moved_is_the_same(labels):
    assert (masks.transform(labels, np.eye(3)) == labels).all()


def test_a_mirror_is_numpys(labels):
    made = masks.transform(labels, affine.about((4, 4), affine.scaling(-1, 1)))
    assert (made == labels[:, :, ::-1]).all()


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_are_numpys(labels, quarters):
    made = masks.transform(labels, affine.about((4, 4), affine.rotation(90 * quarters)))
    assert (made == np.rot90(labels, quarters, axes=(1, 2))).all()


def test_a_shift_leaves_nothing_behind(labels):
    made = masks.transform(labels, affine.translation(3, 2))
    assert (made[:, 2:, 3:] == labels[:, :-2, :-3]).all()
    assert not made[:, :2].any()
    assert not made[:, :, :3].any()


def test_twice_the_size_repeats_pixels(labels):
    made = masks.transform(labels, affine.scaling(2, 2))
    assert (made == labels[:, :4, :4].repeat(2, axis=1).repeat(2, axis=2)).all()


def test_the_type_stays(labels):
    assert masks.transform(labels > 4, affine.rotation(10)).dtype == bool
