"""Normalisation of feature maps, with batch statistics or without, and first weights."""

from __future__ import annotations

from torch import nn

NORMS = ("group", "batch", "none")

_CHANNELS_PER_GROUP = 8
_BATCH_NORMS = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}


def make_norm(kind: str, channels: int, *, dims: int) -> nn.Module:
    """A layer for maps (N, `channels`, ...) with `dims` axes of space and time.

    group: over groups of 8 channels of one sample (Wu and He 2018), or one group where 8 do not
    divide them; batch: over the batch (Ioffe and Szegedy 2015), so that a clip's result in training
    depends on its neighbours and on the number of workers; none: nothing is done.
    """
    if kind == "batch":
        return _BATCH_NORMS[dims](channels)
    if kind == "group":
        whole = channels % _CHANNELS_PER_GROUP == 0
        return nn.GroupNorm(channels // _CHANNELS_PER_GROUP if whole else 1, channels)
    return nn.Identity()


def initialise(module: nn.Module) -> None:
    """He et al. 2015 for everything in front of a ReLU; biases zero."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Conv3d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
