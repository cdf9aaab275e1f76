"""`cnn_lstm`: the frame CNN with LSTM on top, which sees the order of frames."""

from __future__ import annotations

from torch import nn

from videoproc.models.recurrent import FrameCnnRecurrent, RecurrentConfig

Config = RecurrentConfig


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames of any size from 8x8."""
    del frame_shape
    return FrameCnnRecurrent(config, layer=nn.LSTM, num_outputs=num_outputs)
