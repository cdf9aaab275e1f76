"""The frame CNN of the reference architectures as a trunk: one vector a frame.

C32 P C64 P C128 P, then the mean over space where the published network flattens (which would
hold most of the weights), then D128 and dropout. No batch statistics, so the result of a clip
does not depend on its neighbours in the batch nor on the number of workers.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn


class FrameCnn(nn.Module):
    """uint8 RGB frames (B, T, H, W, 3) to features (B, T, `features`). `inputs`: of INPUTS."""

    def __init__(
        self, *, channels: tuple[int, ...], features: int, dropout: float, inputs: str = "rgb"
    ) -> None:
        super().__init__()
        first, self._prepare = INPUTS[inputs]
        layers: list[nn.Module] = []
        for before, after in zip((first + 2, *channels[:-1]), channels, strict=True):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Linear(channels[-1], features), nn.ReLU(), nn.Dropout(dropout)
        )
        initialise(self)

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        batch, time = frames_bthwc.shape[:2]
        x_nchw = self._prepare(frames_bthwc).flatten(0, 1)
        pooled_nc = self.convolutions(with_coordinates(x_nchw)).mean(dim=(2, 3))
        return self.dense(pooled_nc).unflatten(0, (batch, time))


def normalise(frames_bthwc: torch.Tensor) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) to float (B, T, 3, H, W), 0..255 mapped to -1..1."""
    return frames_bthwc.permute(0, 1, 4, 2, 3).float() / 127.5 - 1


def grey_and_difference(frames_bthwc: torch.Tensor) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) to (B, T, 2, H, W): the grey value in -1..1, and how it differs from
    the frame before (0 in the first), scaled by 4 since most differences are small."""
    grey = normalise(frames_bthwc).mean(dim=2, keepdim=True)
    difference = torch.cat([torch.zeros_like(grey[:, :1]), 4 * grey.diff(dim=1)], dim=1)
    return torch.cat([grey, difference], dim=2)


INPUTS: dict[str, tuple[int, Callable[[torch.Tensor], torch.Tensor]]] = {
    "rgb": (3, normalise),
    "grey_and_difference": (2, grey_and_difference),
}
"""What the convolutions see of each frame: the number of channels, and how they are made."""


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
