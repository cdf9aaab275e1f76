"""Crops lie within the frame, have the aspect asked for, and scale like another implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from videoproc.augment import Augmentation, crop


def boxes(*, height, width, count=2000, **settings):
    rng = np.random.default_rng(0)
    augmentation = Augmentation(**settings)
    drawn = [crop.draw(rng, augmentation, (1, height, width)) for _ in range(count)]
    whole = crop.Params(top=0, left=0, height=height, width=width)
    found = [box or whole for box in drawn]
    return np.array([(box.top, box.left, box.height, box.width) for box in found]).T


def test_boxes_lie_within_the_frame():
    top, left, height, width = boxes(height=31, width=50, min_crop_area=0.1, crop_aspect=3.0)
    assert min(top.min(), left.min()) == 0
    assert ((top + height).max(), (left + width).max()) == (31, 50)


def test_boxes_keep_the_share_of_the_frame_that_was_asked_for():
    _, _, height, width = boxes(height=300, width=400, min_crop_area=0.5)
    share = height * width / (300 * 400)
    assert 0.49 < share.min() < 0.52
    assert 0.98 < share.max() <= 1
    assert abs(share.mean() - 0.75) < 0.01  # drawn evenly


def test_boxes_keep_the_frames_aspect():
    _, _, height, width = boxes(height=300, width=400, min_crop_area=0.2)
    assert np.abs(width / height - 4 / 3).max() < 0.02


def test_boxes_have_an_aspect_up_to_the_one_asked_for():
    _, _, height, width = boxes(height=300, width=300, min_crop_area=0.2, crop_aspect=2.0)
    aspect = width / height
    assert 0.49 < aspect.min() < 0.55
    assert 1.85 < aspect.max() < 2.03
    assert abs(np.log(aspect).mean()) < 0.05  # as often wide as high


def test_a_box_of_a_tiny_frame_has_a_pixel():
    _, _, height, width = boxes(height=1, width=2, min_crop_area=0.01, crop_aspect=10.0)
    assert (height.min(), width.min()) == (1, 1)


@pytest.mark.parametrize("box", [(0, 0, 12, 17), (5, 7, 12, 17), (3, 2, 9, 13), (8, 8, 1, 1)])
def test_a_crop_is_scaled_like_torchs_bilinear(noise, box):
    top, left, height, width = box
    cut = torch.from_numpy(noise[:, top : top + height, left : left + width].copy())
    scaled = torch.nn.functional.interpolate(
        cut.permute(0, 3, 1, 2).float(), size=noise.shape[1:3], mode="bilinear"
    ).permute(0, 2, 3, 1)
    made = crop.apply(noise, crop.Params(top=top, left=left, height=height, width=width))
    assert np.abs(made - scaled.numpy()).max() < 4  # of 255: noise is the worst
