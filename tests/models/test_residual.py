"""Residual networks of frames and clips beside what is published of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.models.toys import clips, make
from videoproc.models import build_model, model_config
from videoproc.models.cost import cost
from videoproc.models.r2plus1d import middle_channels
from videoproc.models.tsm import temporal_shift
from videoproc.types import UserError

PUBLISHED = {"channels": [64, 128, 256, 512], "blocks": 2, "norm": "batch"}


def test_with_its_channels_tsn_is_resnet_18() -> None:
    shape = (1, 224, 224, 3)
    config = model_config("tsn", PUBLISHED)
    of = cost(build_model("tsn", config, num_outputs=1000, frame_shape=shape), shape)
    assert of.parameters == 11_689_512
    assert of.multiply_adds == 1_814_073_344


def test_with_its_channels_r3d_is_the_published_network_of_18_layers() -> None:
    shape = (16, 112, 112, 3)
    config = model_config("r3d", PUBLISHED)
    of = cost(build_model("r3d", config, num_outputs=400, frame_shape=shape), shape)
    assert of.parameters == 33_371_472


@pytest.mark.parametrize(("before", "after"), [(3, 16), (16, 32), (64, 64), (128, 256)])
def test_two_parts_of_a_convolution_have_the_weights_of_the_whole(before: int, after: int) -> None:
    middle = middle_channels(before, after, (3, 3, 3))
    whole = nn.Conv3d(before, after, 3, bias=False).weight.numel()
    parts = 9 * before * middle + 3 * middle * after
    one_more = 9 * before + 3 * after
    assert whole - one_more < parts <= whole


def test_half_of_the_shifted_channels_come_from_the_next_frame_half_from_the_last() -> None:
    frames = torch.arange(1.0, 4).view(1, 3, 1, 1, 1).expand(1, 3, 8, 2, 2)
    shifted = temporal_shift(frames, share=0.5, past_only=False)[0, :, :, 0, 0]
    assert shifted[:, :2].tolist() == [[2, 2], [3, 3], [0, 0]]
    assert shifted[:, 2:4].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert shifted[:, 4:].tolist() == [[1] * 4, [2] * 4, [3] * 4]


def test_a_shift_from_the_past_alone_sees_no_frame_to_come() -> None:
    frames = torch.arange(1.0, 4).view(1, 3, 1, 1, 1).expand(1, 3, 8, 2, 2)
    shifted = temporal_shift(frames, share=0.25, past_only=True)[0, :, :, 0, 0]
    assert shifted[:, :2].tolist() == [[0, 0], [1, 1], [2, 2]]
    assert shifted[:, 2:].tolist() == [[1] * 6, [2] * 6, [3] * 6]


def test_a_share_that_moves_no_channel_is_refused() -> None:
    with pytest.raises(UserError, match=r"shift_share is 0\.1, which moves no channel of 8"):
        make("tsm", shift_share=0.1)


@pytest.mark.parametrize("norm", ["none", "weight"])
@pytest.mark.parametrize("name", ["tsn", "tsm", "r3d", "r2plus1d"])
def test_a_deep_network_without_norms_of_maps_keeps_its_signal_in_bounds(
    name: str, norm: str
) -> None:
    outputs = make(name, channels=[16, 16], blocks=12, norm=norm).eval()(clips())
    assert 1e-3 < outputs.abs().max() < 100
