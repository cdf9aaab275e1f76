"""One frame of each segment: where it may lie, and what is averaged."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from videoproc.models.segments import Segments, draw_frames, even_frames


class MeanAndFrames(nn.Module):
    """Tells the mean of each frame that it is given."""

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        return frames_bthwc.float().mean(dim=(2, 3, 4))


def numbered(num_frames: int) -> torch.Tensor:
    """(2, T, 2, 2, 3), frame t of clip b full of 100 b + t."""
    values = 100 * torch.arange(2)[:, None] + torch.arange(num_frames)
    return values[:, :, None, None, None].expand(-1, -1, 2, 2, 3).to(torch.uint8)


@pytest.mark.parametrize("num_frames", [4, 5, 11, 48])
def test_each_segment_gives_one_frame_and_each_of_its_frames_comes(num_frames: int) -> None:
    rng, segments = np.random.default_rng(0), 4
    drawn = np.stack(
        [draw_frames(num_frames, segments=segments, rng=rng) for _ in range(60 * num_frames)]
    )

    for s in range(segments):
        first, last = s * num_frames // segments, -(-(s + 1) * num_frames // segments) - 1
        assert set(drawn[:, s]) == set(range(first, last + 1))


def test_one_answer_is_of_the_middles_as_even_sampling_takes_them() -> None:
    assert even_frames(48, segments=16, answers=1).tolist() == [list(range(1, 48, 3))]


def test_answers_lie_evenly_in_each_segment() -> None:
    assert even_frames(12, segments=2, answers=3).tolist() == [[1, 7], [3, 9], [5, 11]]


def test_a_clip_of_as_many_frames_as_segments_is_taken_as_it_is() -> None:
    assert even_frames(5, segments=5, answers=3).tolist() == [[0, 1, 2, 3, 4]] * 3


def test_the_answer_is_the_mean_over_the_choices() -> None:
    told = Segments(MeanAndFrames(), segments=2, answers=3)(numbered(12))

    assert told.tolist() == [[3.0, 9.0], [103.0, 109.0]]


def test_an_exported_network_answers_alike_for_any_number_of_clips() -> None:
    network = Segments(nn.Sequential(MeanAndFrames(), nn.Linear(2, 3)), segments=2, answers=2)
    batch = torch.export.Dim("batch", min=1)
    exported = torch.export.export(
        network.eval(), (numbered(12),), dynamic_shapes=({0: batch},)
    ).module()

    three = torch.cat([numbered(12), numbered(12)[:1]])
    torch.testing.assert_close(exported(three), network(three))
