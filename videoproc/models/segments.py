"""One frame of each of S equal segments of a clip (Wang et al. 2016, temporal segment networks).

Clips are stored with more frames than a network takes: in training it sees others of them in each
epoch, and its answer is the mean over several choices.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


def draw_frames(num_frames: int, *, segments: int, rng: np.random.Generator) -> np.ndarray:
    """(S,): a random frame of each segment of a clip of `num_frames`, ascending."""
    drawn = (np.arange(segments) + rng.random(segments)) * num_frames / segments
    return np.minimum(drawn.astype(np.int64), num_frames - 1)  # a draw of nearly 1 is rounded up


def even_frames(num_frames: int, *, segments: int, answers: int) -> torch.Tensor:
    """(A, S): the frames of each choice. Choice a takes the frame at (2 a + 1) / (2 A) of each
    segment: of one choice, the one in its middle."""
    segment_s = 2 * answers * torch.arange(segments)
    share_a1 = 2 * torch.arange(answers)[:, None] + 1
    return (segment_s + share_a1) * num_frames // (2 * answers * segments)


class Segments(nn.Module):
    """uint8 (B, T, H, W, C), T >= `segments`, to the mean of what a network that takes `segments`
    frames tells of `answers` choices of frames."""

    def __init__(self, network: nn.Module, *, segments: int, answers: int) -> None:
        super().__init__()
        self.network, self._segments, self._answers = network, segments, answers

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        chosen_as = even_frames(
            frames_bthwc.shape[1], segments=self._segments, answers=self._answers
        ).to(frames_bthwc.device)
        each = frames_bthwc[:, chosen_as.flatten()].unflatten(1, chosen_as.shape).flatten(0, 1)
        return self.network(each).unflatten(0, (-1, self._answers)).mean(dim=1)
