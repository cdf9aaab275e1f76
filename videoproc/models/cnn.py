"""`cnn`: the frame CNN averaged over time. It sees every frame and no order."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from videoproc.models.frame_cnn import FrameCnn


@dataclass(frozen=True, kw_only=True)
class Config:
    """channels: filters of each 3x3 convolution; features: width of the dense layer."""

    channels: tuple[int, ...] = (32, 64, 128)
    features: int = 128
    dropout: float = 0.5


class Cnn(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K): frame features averaged over time, then linear."""

    def __init__(self, config: Config, *, num_outputs: int) -> None:
        super().__init__()
        self.trunk = FrameCnn(
            channels=tuple(config.channels), features=config.features, dropout=config.dropout
        )
        self.head = nn.Linear(config.features, num_outputs)

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        return self.head(self.trunk(frames_bthwc).mean(dim=1))


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames of any size from 8x8."""
    del frame_shape
    return Cnn(config, num_outputs=num_outputs)
