"""`cnn`: the frame CNN averaged over time. It sees every frame and no order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from videoproc.models.frame_cnn import FrameCnn
from videoproc.models.inputs import INPUTS
from videoproc.models.norm import NORMS
from videoproc.models.settings import (
    check_choice,
    check_count,
    check_counts,
    check_dropout,
    check_frames,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """channels: filters of each 3x3 convolution; features: width of the dense layer.

    inputs: of `INPUTS`; those with differences tell something of order. norm: of the maps, one of
    `NORMS`.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    features: int = 128
    dropout: float = 0.5
    inputs: str = "rgb"
    norm: str = "none"

    def __post_init__(self) -> None:
        check_counts("channels", self.channels)
        check_count("features", self.features)
        check_dropout("dropout", self.dropout)
        check_choice("inputs", self.inputs, INPUTS)
        check_choice("norm", self.norm, NORMS)


class Cnn(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K): frame features averaged over time, then linear."""

    def __init__(self, config: Config, *, num_outputs: int) -> None:
        super().__init__()
        self.trunk = FrameCnn(
            channels=tuple(config.channels),
            features=config.features,
            dropout=config.dropout,
            inputs=INPUTS[config.inputs],
            norm=config.norm,
        )
        self.head = nn.Linear(config.features, num_outputs)

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(frames_bthwc).mean(dim=1))


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames, each at least 2 ** len(channels) wide and high.

    Errors: UserError where the frames of `frame_shape` are smaller.
    """
    check_frames(frame_shape, halvings=len(config.channels))
    return Cnn(config, num_outputs=num_outputs)
