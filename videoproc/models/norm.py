"""Normalisation of feature maps or of filters, with batch statistics or without; first weights."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

NORMS = ("weight", "group", "batch", "none")

_CHANNELS_PER_GROUP = 8
_BATCH_NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def make_norm(kind: str, channels: int, *, dims: int) -> nn.Module:
    """A layer for maps (N, `channels`, ...) with `dims` axes of space and time.

    group: over groups of 8 channels of one sample (Wu and He 2018), or one group where 8 do not
    divide them; batch: over the batch (Ioffe and Szegedy 2015), so that a clip's result in training
    depends on its neighbours and on the number of workers; none, weight: maps stay as they are.
    """
    if kind == "batch":
        return _BATCH_NORMS[dims](channels)
    if kind == "group":
        whole = channels % _CHANNELS_PER_GROUP == 0
        return nn.GroupNorm(channels // _CHANNELS_PER_GROUP if whole else 1, channels)
    return nn.Identity()


def make_convolution(
    kind: str, before: int, after: int, *, dims: int, **settings: Any
) -> nn.Module:
    """A convolution for a norm of that kind behind it: with a bias where the norm has none of its
    own, and with filters normalised where it is `weight`. settings: of torch's convolutions."""
    plain, with_gain = _CONVOLUTIONS[dims]
    bias = kind in ("none", "weight")
    made = with_gain if kind == "weight" else plain
    return made(before, after, bias=bias, **settings)


class StandardisedConv2d(nn.Conv2d):
    """Conv2d with standardised filters."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1))

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x_nchw, self.gain * standardised(self.weight), self.bias)


class Conv3d(nn.Conv3d):
    """torch's, in float32 where bfloat16 is wrong: on CPUs (oneDNN in torch 2.13) the gradient of
    filters that are longer in time than the maps is made of memory that nobody wrote."""

    def _conv_forward(
        self, x_ncthw: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> torch.Tensor:
        wrong = x_ncthw.device.type == "cpu" and x_ncthw.shape[2] < self.kernel_size[0]
        if wrong and torch.is_autocast_enabled("cpu"):
            with torch.autocast("cpu", enabled=False):
                return super()._conv_forward(x_ncthw.float(), weight, bias)
        return super()._conv_forward(x_ncthw, weight, bias)


class StandardisedConv3d(Conv3d):
    """Conv3d with standardised filters."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.gain = nn.Parameter(torch.ones(self.out_channels, 1, 1, 1, 1))

    def forward(self, x_ncthw: torch.Tensor) -> torch.Tensor:
        return self._conv_forward(x_ncthw, self.gain * standardised(self.weight), self.bias)


def standardised(filters: torch.Tensor) -> torch.Tensor:
    """(w - mean) / std * sqrt(c / N) for the N numbers w of each filter (K, ...), with c such that
    maps behind a ReLU keep their variance (Brock et al. 2021, scaled weight standardisation)."""
    axes = tuple(range(1, filters.ndim))
    variance, mean = torch.var_mean(filters, dim=axes, keepdim=True, correction=0)
    energy = variance * filters[0].numel() / _AFTER_RELU
    return (filters - mean) * torch.rsqrt(energy.clamp(min=1e-4))


_AFTER_RELU = 2 / (1 - 1 / math.pi)  # 1 / the variance of relu(x), x standard normal

_CONVOLUTIONS = {2: (nn.Conv2d, StandardisedConv2d), 3: (Conv3d, StandardisedConv3d)}


def initialise(module: nn.Module) -> None:
    """He et al. 2015 for everything in front of a ReLU; biases zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def scale_(convolution: nn.Module, share: float) -> None:
    """Make the outputs of a fresh convolution smaller by this share."""
    scaled = convolution.get_parameter("gain" if hasattr(convolution, "gain") else "weight")
    with torch.no_grad():
        scaled.mul_(share)
