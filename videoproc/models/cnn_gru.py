"""`cnn_gru`: the frame CNN with GRU on top, which sees the order of frames."""

from __future__ import annotations

from torch import nn

from videoproc.models.recurrent import FrameCnnRecurrent, RecurrentConfig

Config = RecurrentConfig


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames of any size from 8x8."""
    del frame_shape
    return FrameCnnRecurrent(config, layer=nn.GRU, num_outputs=num_outputs)
