"""`conv_lstm`: LSTM whose state is a map and whose products are convolutions (Shi et al. 2015), on
the maps of a frame CNN. It sees order, and where in the frame.

Without the paper's peepholes, which would have a weight for each place and so fix the frame's size.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from videoproc.models.frame_cnn import make_convolutions
from videoproc.models.inputs import INPUTS, with_coordinates
from videoproc.models.norm import NORMS, initialise
from videoproc.models.settings import (
    check_choice,
    check_count,
    check_counts,
    check_dropout,
    check_frames,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """channels: of the frame CNN, each halves the frame; hidden: channels of the state; layers:
    stacked; inputs: of `INPUTS`; norm: of the frame CNN's maps, of `NORMS`.
    """

    channels: tuple[int, ...] = (16, 32, 64)
    hidden: int = 64
    layers: int = 1
    dropout: float = 0.5
    inputs: str = "rgb"
    norm: str = "none"

    def __post_init__(self) -> None:
        check_counts("channels", self.channels)
        for name in ("hidden", "layers"):
            check_count(name, getattr(self, name))
        check_dropout("dropout", self.dropout)
        check_choice("inputs", self.inputs, INPUTS)
        check_choice("norm", self.norm, NORMS)


class ConvLstmLayer(nn.Module):
    """Maps (B, T, C, H, W) to states (B, T, `hidden`, H, W):

    i, f, g, o = W * x[t] + U * h[t - 1] + b  (* is a 3x3 convolution, the channels of all four)
    c[t] = sigmoid(f) c[t - 1] + sigmoid(i) tanh(g),  h[t] = sigmoid(o) tanh(c[t])
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.input = nn.Conv2d(channels, 4 * hidden, 3, padding=1)
        self.state = nn.Conv2d(hidden, 4 * hidden, 3, padding=1, bias=False)

    def forward(self, x_btchw: torch.Tensor) -> torch.Tensor:
        from_input = self.input(x_btchw.flatten(0, 1)).unflatten(0, (-1, x_btchw.shape[1]))
        cell = torch.zeros_like(from_input[:, 0].chunk(4, dim=1)[0])
        hidden, states = cell, []
        for gates in from_input.unbind(dim=1):
            i, f, g, o = (gates + self.state(hidden)).chunk(4, dim=1)
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            states.append(hidden)
        return torch.stack(states, dim=1)


class ConvLstm(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K): the last state averaged over space, then linear."""

    def __init__(self, config: Config, *, num_outputs: int) -> None:
        super().__init__()
        channels, inputs = tuple(config.channels), INPUTS[config.inputs]
        self._prepare = inputs.prepare
        self.convolutions = make_convolutions(inputs.channels, channels, norm=config.norm)
        initialise(self.convolutions)
        widths = [channels[-1], *[config.hidden] * (config.layers - 1)]
        self.recurrent = nn.Sequential(*(ConvLstmLayer(width, config.hidden) for width in widths))
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(config.hidden, num_outputs))

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        x_btchw = self._prepare(frames_bthwc)
        maps_nchw = self.convolutions(with_coordinates(x_btchw.flatten(0, 1)))
        states_btchw = self.recurrent(maps_nchw.unflatten(0, (-1, x_btchw.shape[1])))
        return self.head(states_btchw[:, -1].mean(dim=(2, 3)))


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames, each at least 2 ** len(channels) wide and high.

    Errors: UserError where the frames of `frame_shape` are smaller.
    """
    check_frames(frame_shape, halvings=len(config.channels))
    return ConvLstm(config, num_outputs=num_outputs)
