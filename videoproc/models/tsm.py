"""`tsm`: `tsn` in which every block hands a share of its channels to the neighbouring frames (Lin
et al. 2019, temporal shift). It sees order, at the multiply-adds of a network of frames."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from videoproc.models.residual import FrameResNet, ResidualConfig, halvings
from videoproc.models.settings import check_choice, check_dropout, check_frames
from videoproc.types import UserError

SHIFTS = ("both", "past")


@dataclass(frozen=True, kw_only=True)
class Config:
    """channels, blocks, dropout, inputs, norm: as `tsn` has them.

    shift_share: the share of channels that moves. shift: `both`, half of it from the next frame and
    half from the one before, for clips that are there whole; `past`, all from the one before, for
    frames as they come.
    """

    channels: tuple[int, ...] = (32, 64, 128, 256)
    blocks: int = 1
    dropout: float = 0.5
    inputs: str = "rgb"
    norm: str = "weight"
    shift_share: float = 0.25
    shift: str = "both"

    def __post_init__(self) -> None:
        _ = self.residual
        check_dropout("shift_share", self.shift_share)
        check_choice("shift", self.shift, SHIFTS)

    @property
    def residual(self) -> ResidualConfig:
        return ResidualConfig(
            channels=self.channels,
            blocks=self.blocks,
            dropout=self.dropout,
            inputs=self.inputs,
            norm=self.norm,
        )


def temporal_shift(x_btchw: torch.Tensor, *, share: float, past_only: bool) -> torch.Tensor:
    """The first channels moved by one frame, zeros where no frame is; the others as they are."""
    moved = int(x_btchw.shape[2] * share)
    ahead = 0 if past_only else moved // 2
    nothing = (0, 0) * 3  # added to the width, height and channels
    return torch.cat(
        [
            F.pad(x_btchw[:, 1:, :ahead], (*nothing, 0, 1)),
            F.pad(x_btchw[:, :-1, ahead:moved], (*nothing, 1, 0)),
            x_btchw[:, :, moved:],
        ],
        dim=2,
    )


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames of any size.

    Errors: UserError where the frames of `frame_shape` are too small to be halved so often, or the
    share of the first stage's channels is not a whole one.
    """
    check_frames(frame_shape, halvings=halvings(config.channels))
    fewest = 1 if config.shift == "past" else 2
    if int(min(config.channels) * config.shift_share) < fewest:
        raise UserError(
            f"model_settings: shift_share is {config.shift_share}, which moves no channel of "
            f"{min(config.channels)} each way: use a larger share or more channels"
        )
    shift = partial(temporal_shift, share=config.shift_share, past_only=config.shift == "past")
    return FrameResNet(config.residual, num_outputs=num_outputs, shift=shift)
