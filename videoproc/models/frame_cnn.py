"""The frame CNN of the reference architectures as a trunk: one vector a frame.

C32 P C64 P C128 P, then the mean over space where the published network flattens (which would
hold most of the weights), then D128 and dropout. No batch statistics, so the result of a clip
does not depend on its neighbours in the batch nor on the number of workers.
"""

from __future__ import annotations

import torch
from torch import nn


class FrameCnn(nn.Module):
    """uint8 RGB frames (B, T, H, W, 3) to features (B, T, `features`)."""

    def __init__(self, *, channels: tuple[int, ...], features: int, dropout: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in zip((INPUT_CHANNELS, *channels[:-1]), channels, strict=True):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Linear(channels[-1], features), nn.ReLU(), nn.Dropout(dropout)
        )
        initialise(self)

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        batch, time = frames_bthwc.shape[:2]
        x_nchw = normalise(frames_bthwc).flatten(0, 1)
        pooled_nc = self.convolutions(with_coordinates(x_nchw)).mean(dim=(2, 3))
        return self.dense(pooled_nc).unflatten(0, (batch, time))


INPUT_CHANNELS = 5  # red, green, blue, x, y


def normalise(frames_bthwc: torch.Tensor) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) to float (B, T, 3, H, W), 0..255 mapped to -1..1."""
    return frames_bthwc.permute(0, 1, 4, 2, 3).float() / 127.5 - 1


def with_coordinates(x_nchw: torch.Tensor) -> torch.Tensor:
    """Append each pixel's x and y in -1..1 as two channels (Liu et al. 2018, CoordConv).

    The mean over space forgets where things are; with these channels a filter can answer to a
    thing and its place, so that a network on top can see it move.
    """
    n, _, height, width = x_nchw.shape
    y = torch.linspace(-1, 1, height, device=x_nchw.device, dtype=x_nchw.dtype)
    x = torch.linspace(-1, 1, width, device=x_nchw.device, dtype=x_nchw.dtype)
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")).flip(0)
    return torch.cat([x_nchw, grid.expand(n, 2, height, width)], dim=1)


def initialise(module: nn.Module) -> None:
    """He et al. 2015 for everything in front of a ReLU; biases zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
