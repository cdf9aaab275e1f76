"""The frame CNN of the reference architectures as a trunk: one vector a frame.

C32 P C64 P C128 P, then the mean over space where the published network flattens (which would
hold most of the weights), then D128 and dropout. No batch statistics unless asked for, so the
result of a clip does not depend on its neighbours in the batch nor on the number of workers.
"""

from __future__ import annotations

import torch
from torch import nn

from videoproc.models.inputs import INPUTS, Inputs, with_coordinates
from videoproc.models.norm import initialise, make_convolution, make_norm


class FrameCnn(nn.Module):
    """uint8 RGB frames (B, T, H, W, 3) to features (B, T', `features`), T' = T for all INPUTS."""

    def __init__(
        self,
        *,
        channels: tuple[int, ...],
        features: int,
        dropout: float = 0.0,
        inputs: Inputs = INPUTS["rgb"],
        norm: str = "none",
    ) -> None:
        super().__init__()
        self._prepare = inputs.prepare
        self.convolutions = make_convolutions(inputs.channels, channels, norm=norm)
        self.dense = nn.Sequential(
            nn.Linear(channels[-1], features), nn.ReLU(), nn.Dropout(dropout)
        )
        initialise(self)

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        x_btchw = self._prepare(frames_bthwc)
        maps_nchw = self.convolutions(with_coordinates(x_btchw.flatten(0, 1)))
        return self.dense(maps_nchw.mean(dim=(2, 3))).unflatten(0, (-1, x_btchw.shape[1]))


def make_convolutions(first: int, channels: tuple[int, ...], *, norm: str) -> nn.Sequential:
    """Cn P for each n of `channels`, on maps of `first` channels and their coordinates."""
    layers: list[nn.Module] = []
    for before, after in zip((first + 2, *channels[:-1]), channels, strict=True):
        layers.append(make_convolution(norm, before, after, dims=2, kernel_size=3, padding=1))
        if norm in ("group", "batch"):  # saved weights name layers by their number
            layers.append(make_norm(norm, after, dims=2))
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers)
