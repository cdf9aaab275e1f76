"""What `cnn_lstm` and `cnn_gru` share: the frame CNN with a recurrent layer on top."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from videoproc.models.frame_cnn import INPUTS, FrameCnn
from videoproc.models.settings import check_count, check_counts, check_dropout


@dataclass(frozen=True, kw_only=True)
class RecurrentConfig:
    """channels, features: the frame CNN's; hidden: the recurrent state's width; layers: stacked.

    inputs: `rgb`, or `grey_and_difference`: no colour, which tells one camera from another, and
    the change since the frame before, which tells what moves.
    """

    channels: tuple[int, ...] = (32, 64, 128)
    features: int = 128
    hidden: int = 128
    layers: int = 1
    dropout: float = 0.5
    inputs: str = "rgb"

    def __post_init__(self) -> None:
        check_counts("channels", self.channels)
        for name in ("features", "hidden", "layers"):
            check_count(name, getattr(self, name))
        check_dropout("dropout", self.dropout)
        if self.inputs not in INPUTS:
            raise ValueError(f"inputs is {self.inputs!r}: use {' or '.join(INPUTS)}")


class FrameCnnRecurrent(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K): the recurrent layer's last state, then linear.

    Dropout stands before the head and not in the trunk: noise in every frame's features would
    drown the small differences between frames that the recurrent layer lives on.
    """

    def __init__(
        self,
        config: RecurrentConfig,
        *,
        layer: type[nn.LSTM] | type[nn.GRU],
        num_outputs: int,
    ) -> None:
        super().__init__()
        self.trunk = FrameCnn(
            channels=tuple(config.channels),
            features=config.features,
            dropout=0.0,
            inputs=config.inputs,
        )
        self.recurrent = layer(
            config.features, config.hidden, num_layers=config.layers, batch_first=True
        )
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(config.hidden, num_outputs))

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        states_bth, _ = self.recurrent(self.trunk(frames_bthwc))
        return self.head(states_bth[:, -1])
