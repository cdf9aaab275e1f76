"""What networks are shown of frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from videoproc.models.inputs import (
    INPUTS,
    burst_differences,
    burst_flow,
    difference,
    flow,
    normalise,
)

FRAMES = torch.tensor([0, 0, 51, 255], dtype=torch.uint8).view(1, 4, 1, 1, 1).expand(1, 4, 2, 2, 3)


def test_bytes_become_minus_one_to_one() -> None:
    assert normalise(FRAMES)[0, :, 0, 0, 0].tolist() == pytest.approx([-1, -1, -0.6, 1])


def test_a_difference_is_to_the_frame_before_and_four_times_as_large() -> None:
    assert difference(FRAMES)[0, :, 0, 0, 0].tolist() == pytest.approx([0, 0, 1.6, 6.4])


def test_burst_differences_stay_within_their_burst() -> None:
    pairs = burst_differences(FRAMES, burst_frames=2)
    assert pairs[0, :, :, 0, 0].tolist() == [[0], pytest.approx([6.4])]
    whole = burst_differences(FRAMES, burst_frames=4)
    assert whole[0, 0, :, 0, 0].tolist() == pytest.approx([0, 1.6, 6.4])


def test_flow_is_to_the_frame_before_in_units_of_four_pixels() -> None:
    noise = np.random.default_rng(0).normal(size=(64, 72))
    smooth = cv2.GaussianBlur(noise, (0, 0), 3)
    wide = torch.tensor(smooth / np.abs(smooth).max() * 127 + 128).to(torch.uint8)
    frames = torch.stack([wide[:, 8 - x : 72 - x] for x in (0, 2, 4)])[None, ..., None]
    found = flow(frames.expand(-1, -1, -1, -1, 3))
    assert found[0, 0].abs().max() == 0
    for later in found[0, 1:, :, 12:-12, 12:-12]:
        assert later.median(dim=-1).values.median(dim=-1).values.tolist() == pytest.approx(
            [0.5, 0], abs=0.05
        )


def test_burst_flow_is_the_flow_within_each_burst() -> None:
    frames = torch.randint(0, 256, (2, 6, 12, 16, 3), dtype=torch.uint8)
    of_bursts = burst_flow(frames, burst_frames=3)
    each = flow(frames.unflatten(1, (2, 3)).flatten(0, 1))[:, 1:]
    torch.testing.assert_close(of_bursts, each.flatten(1, 2).unflatten(0, (2, 2)))


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_has_the_channels_that_it_says(name: str) -> None:
    assert INPUTS[name].prepare(FRAMES).shape == (1, 4, INPUTS[name].channels, 2, 2)
