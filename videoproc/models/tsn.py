"""`tsn`: a residual network of frames, averaged over time (Wang et al. 2016, temporal segments).

It sees every frame and no order.
"""

from __future__ import annotations

from torch import nn

from videoproc.models.residual import FrameResNet, ResidualConfig, halvings
from videoproc.models.settings import check_frames

Config = ResidualConfig


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames of any size.

    Errors: UserError where the frames of `frame_shape` are too small to be halved so often.
    """
    check_frames(frame_shape, halvings=halvings(config.channels))
    return FrameResNet(config, num_outputs=num_outputs)
