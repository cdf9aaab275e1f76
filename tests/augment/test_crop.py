"""Crops lie within the frame, keep its aspect, and scale like another implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from videoproc.augment.crop import crop_box, resized_crop


def boxes(*, height, width, min_area, count=2000):
    rng = np.random.default_rng(0)
    draw = [crop_box(rng, height=height, width=width, min_area=min_area) for _ in range(count)]
    return np.array(draw).T


def test_boxes_lie_within_the_frame():
    top, left, height, width = boxes(height=31, width=50, min_area=0.1)
    assert min(top.min(), left.min()) == 0
    assert ((top + height).max(), (left + width).max()) == (31, 50)


def test_boxes_keep_the_share_of_the_frame_that_was_asked_for():
    _, _, height, width = boxes(height=300, width=400, min_area=0.5)
    share = height * width / (300 * 400)
    assert 0.49 < share.min() < 0.52
    assert 0.98 < share.max() <= 1
    assert abs(share.mean() - 0.75) < 0.01  # drawn evenly


def test_boxes_keep_the_frames_aspect():
    _, _, height, width = boxes(height=300, width=400, min_area=0.2)
    assert np.abs(width / height - 4 / 3).max() < 0.02


def test_a_box_of_a_tiny_frame_has_a_pixel():
    _, _, height, width = boxes(height=1, width=2, min_area=0.01)
    assert (height.min(), width.min()) == (1, 1)


def test_a_crop_of_the_whole_frame_changes_nothing(noise):
    assert (resized_crop(noise, (0, 0, 17, 24)) == noise).all()


@pytest.mark.parametrize("box", [(0, 0, 12, 17), (5, 7, 12, 17), (3, 2, 9, 13), (8, 8, 1, 1)])
def test_a_crop_is_scaled_like_torchs_bilinear(noise, box):
    top, left, height, width = box
    cut = torch.from_numpy(noise[:, top : top + height, left : left + width].copy())
    scaled = torch.nn.functional.interpolate(
        cut.permute(0, 3, 1, 2).float(), size=noise.shape[1:3], mode="bilinear"
    ).permute(0, 2, 3, 1)
    assert np.abs(resized_crop(noise, box) - scaled.numpy()).max() < 4  # of 255: noise is the worst
