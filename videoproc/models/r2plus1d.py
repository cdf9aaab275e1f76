"""`r2plus1d`: `r3d` with every 3D convolution taken apart into one over space and one over time
(Tran et al. 2018, R(2+1)D). It sees order."""

from __future__ import annotations

from torch import nn

from videoproc.models.norm import make_convolution, make_norm
from videoproc.models.residual3d import (
    MakeConvolution3d,
    Residual3dConfig,
    Size,
    VideoResNet,
    halvings,
)
from videoproc.models.settings import check_frames

Config = Residual3dConfig


def middle_channels(before: int, after: int, kernel: Size) -> int:
    """Channels between the two parts with which they have the 3D convolution's weights, rounded
    down: t d d N N' / (d d N + t N')."""
    t, h, w = kernel
    return (t * h * w * before * after) // (h * w * before + t * after)


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames of any size.

    Errors: UserError where the frames of `frame_shape` are too small to be halved so often.
    """
    check_frames(frame_shape, halvings=halvings(config.channels))
    return VideoResNet(config, convolution=_apart(norm=config.norm), num_outputs=num_outputs)


def _apart(*, norm: str) -> MakeConvolution3d:
    def make(before: int, after: int, kernel: Size, stride: Size) -> nn.Module:
        (t, h, w), middle = kernel, middle_channels(before, after, kernel)
        return nn.Sequential(
            make_convolution(
                norm,
                before,
                middle,
                dims=3,
                kernel_size=(1, h, w),
                stride=(1, *stride[1:]),
                padding=(0, h // 2, w // 2),
            ),
            make_norm(norm, middle, dims=3),
            nn.ReLU(),
            make_convolution(
                norm,
                middle,
                after,
                dims=3,
                kernel_size=(t, 1, 1),
                stride=(stride[0], 1, 1),
                padding=(t // 2, 0, 0),
            ),
        )

    return make
