"""`cnn_rnn`: the frame CNN with a plain recurrent layer (Elman 1990) on top, which sees order."""

from __future__ import annotations

from torch import nn

from videoproc.models.recurrent import FrameCnnRecurrent, RecurrentConfig
from videoproc.models.settings import check_frames

Config = RecurrentConfig


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames, each at least 2 ** len(channels) wide and high.

    Errors: UserError where the frames of `frame_shape` are smaller.
    """
    check_frames(frame_shape, halvings=len(config.channels))
    return FrameCnnRecurrent(config, layer=nn.RNN, num_outputs=num_outputs)
