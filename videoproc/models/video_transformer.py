"""`video_transformer`: a transformer over space, then one over time (Arnab et al. 2021, ViViT with
the factorised encoder). It sees order within tubelets and by their places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from videoproc.models.attention import ENCODER_POOLINGS, Encoder, positions
from videoproc.models.inputs import INPUTS
from videoproc.models.settings import (
    check_choice,
    check_count,
    check_dropout,
    check_frames,
    check_heads,
)
from videoproc.types import UserError


@dataclass(frozen=True, kw_only=True)
class Config:
    """patch, tubelet: pixels and frames of what becomes one vector of `width`; heads: of attention;
    space_layers, time_layers: of each encoder; pooling: what the vectors of a place in time, and
    then those of all places, come to, `mean`, `class` or `attention`; inputs: of `INPUTS`.
    """

    patch: int = 16
    tubelet: int = 2
    width: int = 128
    heads: int = 4
    space_layers: int = 4
    time_layers: int = 2
    pooling: str = "class"
    dropout: float = 0.1
    inputs: str = "rgb"

    def __post_init__(self) -> None:
        for name in ("patch", "tubelet", "width", "space_layers", "time_layers"):
            check_count(name, getattr(self, name))
        if self.width % 4:
            raise ValueError(f"width is {self.width}: use a multiple of 4")
        check_heads(self.heads, name="width", width=self.width)
        check_choice("pooling", self.pooling, ENCODER_POOLINGS)
        check_dropout("dropout", self.dropout)
        check_choice("inputs", self.inputs, INPUTS)


class VideoTransformer(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K). A clip that tubelets do not divide is filled up with
    its last frame and its border's pixels."""

    def __init__(self, config: Config, *, num_outputs: int) -> None:
        super().__init__()
        inputs = INPUTS[config.inputs]
        self._prepare = inputs.prepare
        self._size = (config.tubelet, config.patch, config.patch)
        self.embed = nn.Conv3d(inputs.channels, config.width, self._size, stride=self._size)
        self.space, self.time = (
            Encoder(
                config.width,
                layers=layers,
                heads=config.heads,
                dropout=config.dropout,
                pooling=config.pooling,
            )
            for layers in (config.space_layers, config.time_layers)
        )
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(config.width, num_outputs))

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        x_bcthw = self._filled_up(self._prepare(frames_bthwc).transpose(1, 2))
        x_btdhw = self.embed(x_bcthw).transpose(1, 2)
        x_btdhw = x_btdhw + _places(x_btdhw)
        x_btd = self.space(x_btdhw.flatten(0, 1).flatten(2).transpose(1, 2)).unflatten(
            0, (-1, x_btdhw.shape[1])
        )
        return self.head(self.time(x_btd + positions(*x_btd.shape[1:], like=x_btd)))

    def _filled_up(self, x_bcthw: torch.Tensor) -> torch.Tensor:
        missing = [-have % whole for have, whole in zip(x_bcthw.shape[2:], self._size, strict=True)]
        if not any(missing):
            return x_bcthw
        time, height, width = missing
        return F.pad(x_bcthw, (0, width, 0, height, 0, time), mode="replicate")


def _places(x_btdhw: torch.Tensor) -> torch.Tensor:
    """(D, H, W): the row's position in the first half of the channels, the column's behind it."""
    width, rows, columns = x_btdhw.shape[2:]
    row_dh1 = positions(rows, width // 2, like=x_btdhw).T[:, :, None]
    column_d1w = positions(columns, width // 2, like=x_btdhw).T[:, None, :]
    return torch.cat([row_dh1.expand(-1, -1, columns), column_d1w.expand(-1, rows, -1)])


def build(config: Config, *, num_outputs: int, frame_shape: tuple[int, ...]) -> nn.Module:
    """The network; it takes any number of frames of any size.

    Errors: UserError where the frames of `frame_shape` are smaller than a patch.
    """
    check_frames(frame_shape, halvings=0)
    _, height, width, _ = frame_shape
    if min(height, width) < config.patch:
        raise UserError(
            f"model_settings: patch is {config.patch}, and frames of {width}x{height} are too "
            "small for that: use a smaller patch or larger frames"
        )
    return VideoTransformer(config, num_outputs=num_outputs)
