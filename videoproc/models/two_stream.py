"""`two_stream`: one frame CNN for what is there and one for what moves, by differences of frames or
by optical flow (Simonyan and Zisserman 2014). It sees order by their sign.

Where clips are bursts of k frames (`sampling.burst_frames`), `burst_frames: k` gives the stream of
motion the k - 1 changes within each burst as channels, and the other the first frame of each; with
1 the change is the one since the sampled frame before, however long ago that was.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from videoproc.models.attention import MultiHeadAttention, positions
from videoproc.models.frame_cnn import FrameCnn
from videoproc.models.inputs import INPUTS, Inputs, burst_differences, burst_flow
from videoproc.models.norm import NORMS
from videoproc.models.settings import (
    check_choice,
    check_count,
    check_counts,
    check_dropout,
    check_frames,
    check_heads,
)
from videoproc.types import UserError


@dataclass(frozen=True, kw_only=True)
class Config:
    """channels, features: of each frame CNN; norm: of their maps, of `NORMS`.

    fusion: `late`, the mean of each stream's logits; `concatenation` of their features, averaged
    over time; `cross_attention`, the same after each stream has asked the other, in `heads` heads.
    burst_frames: frames that stand together in the clips. motion: `difference` or `flow`.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    features: int = 128
    dropout: float = 0.5
    norm: str = "none"
    fusion: str = "concatenation"
    heads: int = 4
    burst_frames: int = 1
    motion: str = "difference"

    def __post_init__(self) -> None:
        check_counts("channels", self.channels)
        check_count("features", self.features)
        check_dropout("dropout", self.dropout)
        check_choice("norm", self.norm, NORMS)
        check_choice("fusion", self.fusion, FUSIONS)
        check_heads(self.heads, name="features", width=self.features)
        check_count("burst_frames", self.burst_frames)
        check_choice("motion", self.motion, MOTIONS)


MOTIONS = {"difference": (1, burst_differences), "flow": (2, burst_flow)}
"""By name: channels of each change, and what makes them of bursts."""


class Late(nn.Module):
    """(B, T, F) of both streams to logits: a linear layer for each, and the mean of the two."""

    def __init__(self, config: Config, *, num_outputs: int) -> None:
        super().__init__()
        self.appearance, self.motion = (
            nn.Sequential(nn.Dropout(config.dropout), nn.Linear(config.features, num_outputs))
            for _ in range(2)
        )

    def forward(self, appearance_btd: torch.Tensor, motion_btd: torch.Tensor) -> torch.Tensor:
        from_appearance = self.appearance(appearance_btd.mean(dim=1))
        return (from_appearance + self.motion(motion_btd.mean(dim=1))) / 2


class Concatenation(nn.Module):
    """(B, T, F) of both streams to logits: one linear layer over both means."""

    def __init__(self, config: Config, *, num_outputs: int) -> None:
        super().__init__()
        self.head = nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(2 * config.features, num_outputs)
        )

    def forward(self, appearance_btd: torch.Tensor, motion_btd: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([appearance_btd, motion_btd], dim=2).mean(dim=1))


class CrossAttention(nn.Module):
    """(B, T, F) of both streams to logits: norm(x + attention(x, other)) of each, concatenated.

    Queries and keys carry their place in time, so that a frame can find what changed around it.
    """

    def __init__(self, config: Config, *, num_outputs: int) -> None:
        super().__init__()
        width = config.features
        self.to_motion, self.to_appearance = (
            MultiHeadAttention(width, heads=config.heads) for _ in range(2)
        )
        self.appearance_norm, self.motion_norm = (nn.LayerNorm(width) for _ in range(2))
        self.concatenation = Concatenation(config, num_outputs=num_outputs)

    def forward(self, appearance_btd: torch.Tensor, motion_btd: torch.Tensor) -> torch.Tensor:
        places_td = positions(*appearance_btd.shape[1:], like=appearance_btd)
        appearance, motion = appearance_btd + places_td, motion_btd + places_td
        return self.concatenation(
            self.appearance_norm(appearance + self.to_motion(appearance, motion)),
            self.motion_norm(motion + self.to_appearance(motion, appearance)),
        )


FUSIONS: dict[str, type[Late] | type[Concatenation] | type[CrossAttention]] = {
    "late": Late,
    "concatenation": Concatenation,
    "cross_attention": CrossAttention,
}


class TwoStream(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K); T is a multiple of the burst's frames k."""

    def __init__(self, config: Config, *, num_outputs: int) -> None:
        super().__init__()
        self._burst_frames = config.burst_frames
        motion_inputs = INPUTS[config.motion]
        if config.burst_frames > 1:
            channels, of_bursts = MOTIONS[config.motion]
            motion_inputs = Inputs(
                channels * (config.burst_frames - 1),
                partial(of_bursts, burst_frames=config.burst_frames),
            )
        self.appearance, self.motion = (
            FrameCnn(
                channels=tuple(config.channels),
                features=config.features,
                inputs=inputs,
                norm=config.norm,
            )
            for inputs in (INPUTS["rgb"], motion_inputs)
        )
        self.fusion = FUSIONS[config.fusion](config, num_outputs=num_outputs)

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        _check_bursts(frames_bthwc.shape[1], self._burst_frames)
        first_of_each = frames_bthwc[:, :: self._burst_frames]
        return self.fusion(self.appearance(first_of_each), self.motion(frames_bthwc))


def _check_bursts(num_frames: int, burst_frames: int) -> None:
    if num_frames % burst_frames:
        raise UserError(
            f"model_settings: burst_frames is {burst_frames}, and clips of {num_frames} frames are "
            "not whole bursts: give what the clips were sampled with"
        )


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of bursts, frames at least 2 ** len(channels) wide and high.

    Errors: UserError where the frames of `frame_shape` are smaller, or not whole bursts.
    """
    check_frames(frame_shape, halvings=len(config.channels))
    _check_bursts(frame_shape[0], config.burst_frames)
    return TwoStream(config, num_outputs=num_outputs)
