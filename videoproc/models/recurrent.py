"""What `cnn_rnn`, `cnn_lstm` and `cnn_gru` share: the frame CNN with a recurrent layer on top."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from videoproc.models.attention import AttentionPooling
from videoproc.models.frame_cnn import FrameCnn
from videoproc.models.inputs import INPUTS
from videoproc.models.norm import NORMS
from videoproc.models.settings import (
    check_choice,
    check_count,
    check_counts,
    check_dropout,
    check_flag,
)

POOLINGS = ("last", "mean", "attention")


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """channels, features: the frame CNN's; hidden: the recurrent state's width; layers: stacked.

    inputs: `rgb`, or `grey_and_difference`: no colour, which tells one camera from another, and
    the change since the frame before, which tells what moves; or `difference`, that change alone.
    norm: of the frame CNN's maps, of `NORMS`. bidirectional: a second layer reads
    the clip backwards. pooling: what the states of all frames come to: `last`, the state that has
    read all frames (of both directions); `mean`; or `attention` over them.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    features: int = 128
    hidden: int = 128
    layers: int = 1
    dropout: float = 0.5
    inputs: str = "rgb"
    norm: str = "none"
    bidirectional: bool = False
    pooling: str = "last"

    def __post_init__(self) -> None:
        check_counts("channels", self.channels)
        for name in ("features", "hidden", "layers"):
            check_count(name, getattr(self, name))
        check_dropout("dropout", self.dropout)
        check_choice("inputs", self.inputs, INPUTS)
        check_choice("norm", self.norm, NORMS)
        check_flag("bidirectional", self.bidirectional)
        check_choice("pooling", self.pooling, POOLINGS)


class FrameCnnRecurrent(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K): the recurrent layer's states, pooled, then linear.

    Dropout stands before the head and not in the trunk: noise in every frame's features would
    drown the small differences between frames that the recurrent layer lives on.
    """

    def __init__(
        self,
        config: RecurrentConfig,
        *,
        layer: type[nn.RNN] | type[nn.LSTM] | type[nn.GRU],
        num_outputs: int,
    ) -> None:
        super().__init__()
        self._hidden, self._pooling = config.hidden, config.pooling
        self.trunk = FrameCnn(
            channels=tuple(config.channels),
            features=config.features,
            inputs=INPUTS[config.inputs],
            norm=config.norm,
        )
        self.recurrent = layer(
            config.features,
            config.hidden,
            num_layers=config.layers,
            batch_first=True,
            bidirectional=config.bidirectional,
        )
        width = config.hidden * (2 if config.bidirectional else 1)
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(width, num_outputs))
        if config.pooling == "attention":
            self.pool = AttentionPooling(width)

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        states_bth, _ = self.recurrent(self.trunk(frames_bthwc))
        return self.head(self._pooled(states_bth))

    def _pooled(self, states_bth: torch.Tensor) -> torch.Tensor:
        if self._pooling == "attention":
            return self.pool(states_bth)
        if self._pooling == "mean":
            return states_bth.mean(dim=1)
        # The backward layer, in the second half if there is one, ends at the first frame.
        forward, backward = states_bth[:, -1, : self._hidden], states_bth[:, 0, self._hidden :]
        return torch.cat([forward, backward], dim=1)
