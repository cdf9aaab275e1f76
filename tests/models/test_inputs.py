"""What networks are shown of frames."""

from __future__ import annotations

import pytest
import torch

from videoproc.models.inputs import INPUTS, burst_differences, difference, normalise

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


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_has_the_channels_that_it_says(name: str) -> None:
    assert INPUTS[name].prepare(FRAMES).shape == (1, 4, INPUTS[name].channels, 2, 2)
