"""`temporal_attention`: the frame CNN with self-attention over the frames on top (Vaswani et al.
2017). It sees order by the frames' places, which are added to their features."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from videoproc.models.attention import ENCODER_POOLINGS, Encoder, positions
from videoproc.models.frame_cnn import FrameCnn
from videoproc.models.inputs import INPUTS
from videoproc.models.norm import NORMS
from videoproc.models.settings import (
    check_choice,
    check_count,
    check_counts,
    check_dropout,
    check_frames,
    check_heads,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """channels, features: the frame CNN's; layers, heads: of the attention over frames.

    inputs: of `INPUTS`; norm: of the frame CNN's maps, of `NORMS`. pooling: what
    the frames come to, `mean`, `class` or `attention`.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    features: int = 128
    layers: int = 2
    heads: int = 4
    dropout: float = 0.5
    inputs: str = "rgb"
    norm: str = "none"
    pooling: str = "attention"

    def __post_init__(self) -> None:
        check_counts("channels", self.channels)
        for name in ("features", "layers"):
            check_count(name, getattr(self, name))
        check_heads(self.heads, name="features", width=self.features)
        check_dropout("dropout", self.dropout)
        check_choice("inputs", self.inputs, INPUTS)
        check_choice("norm", self.norm, NORMS)
        check_choice("pooling", self.pooling, ENCODER_POOLINGS)


class TemporalAttention(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K): frame features, an encoder over time, then linear.

    Dropout stands before the head alone, as in the recurrent networks and for their reason.
    """

    def __init__(self, config: Config, *, num_outputs: int) -> None:
        super().__init__()
        self.trunk = FrameCnn(
            channels=tuple(config.channels),
            features=config.features,
            inputs=INPUTS[config.inputs],
            norm=config.norm,
        )
        self.encoder = Encoder(
            config.features,
            layers=config.layers,
            heads=config.heads,
            dropout=0.0,
            pooling=config.pooling,
        )
        self.head = nn.Sequential(
            nn.Dropout(config.dropout), nn.Linear(config.features, num_outputs)
        )

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        x_btd = self.trunk(frames_bthwc)
        return self.head(self.encoder(x_btd + positions(*x_btd.shape[1:], like=x_btd)))


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames, each at least 2 ** len(channels) wide and high.

    Errors: UserError where the frames of `frame_shape` are smaller.
    """
    check_frames(frame_shape, halvings=len(config.channels))
    return TemporalAttention(config, num_outputs=num_outputs)
