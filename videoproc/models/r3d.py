"""`r3d`: a residual network of 3D convolutions (Tran et al. 2018, R3D). It sees order."""

from __future__ import annotations

from torch import nn

from videoproc.models.norm import make_convolution
from videoproc.models.residual3d import (
    MakeConvolution3d,
    Residual3dConfig,
    Size,
    VideoResNet,
    halvings,
)
from videoproc.models.settings import check_frames

Config = Residual3dConfig


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames of any size.

    Errors: UserError where the frames of `frame_shape` are too small to be halved so often.
    """
    check_frames(frame_shape, halvings=halvings(config.channels))
    return VideoResNet(config, convolution=_full(norm=config.norm), num_outputs=num_outputs)


def _full(*, norm: str) -> MakeConvolution3d:
    def make(before: int, after: int, kernel: Size, stride: Size) -> nn.Module:
        t, h, w = kernel
        padding = (t // 2, h // 2, w // 2)
        return make_convolution(
            norm, before, after, dims=3, kernel_size=kernel, stride=stride, padding=padding
        )

    return make
