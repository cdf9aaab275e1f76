"""What `r3d` and `r2plus1d` share: a residual network whose filters span space and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from videoproc.models.inputs import INPUTS
from videoproc.models.norm import initialise, make_norm
from videoproc.models.residual import ResidualConfig, make_blocks

Size = tuple[int, int, int]
MakeConvolution3d = Callable[[int, int, Size, Size], nn.Module]
"""(channels before, channels after, kernel, stride) to a convolution; both as (t, h, w)."""


@dataclass(frozen=True, kw_only=True)
class Residual3dConfig(ResidualConfig):
    """As of the networks of frames; each stage but the first halves space and time."""

    channels: tuple[int, ...] = (16, 32, 64, 128)


class VideoResNet(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K): maps averaged over space and time, then linear."""

    def __init__(
        self, config: Residual3dConfig, *, convolution: MakeConvolution3d, num_outputs: int
    ) -> None:
        super().__init__()
        channels, inputs = tuple(config.channels), INPUTS[config.inputs]
        self._prepare = inputs.prepare
        self.stem = nn.Sequential(
            convolution(inputs.channels, channels[0], (3, 7, 7), (1, 2, 2)),
            make_norm(config.norm, channels[0], dims=3),
            nn.ReLU(),
        )
        initialise(self.stem)
        self.blocks = make_blocks(
            channels,
            blocks=config.blocks,
            convolution=lambda before, after, stride: convolution(
                before, after, (3, 3, 3), (stride, stride, stride)
            ),
            norm=config.norm,
            dims=3,
        )
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(channels[-1], num_outputs))

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        x_ncthw = self.stem(self._prepare(frames_bthwc).transpose(1, 2))
        for block in self.blocks:
            x_ncthw = block(x_ncthw)
        return self.head(x_ncthw.mean(dim=(2, 3, 4)))


def halvings(channels: tuple[int, ...]) -> int:
    """How often `VideoResNet` halves a frame: its stem and each stage but the first."""
    return len(channels)
