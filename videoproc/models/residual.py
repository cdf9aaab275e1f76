"""Residual networks (He et al. 2016): the blocks for frames and for clips, and the network of
single frames that `tsn` and `tsm` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from videoproc.models.inputs import INPUTS
from videoproc.models.norm import NORMS, initialise, make_convolution, make_norm, scale_
from videoproc.models.settings import check_choice, check_count, check_counts, check_dropout

MakeConvolution = Callable[[int, int, int], nn.Module]
"""(channels before, channels after, stride) to a 3x3 or 3x3x3 convolution."""


@dataclass(frozen=True, kw_only=True)
class ResidualConfig:
    """channels: of each stage, each but the first halves its input; blocks: in each stage.

    inputs: of `INPUTS`. norm: `weight` (filters are normalised, not maps), `group`, `none`; or
    `batch`, with which a clip's result in training depends on its neighbours in the batch and so on
    the number of workers.
    """

    channels: tuple[int, ...] = (32, 64, 128, 256)
    blocks: int = 1
    dropout: float = 0.5
    inputs: str = "rgb"
    norm: str = "weight"

    def __post_init__(self) -> None:
        check_counts("channels", self.channels)
        check_count("blocks", self.blocks)
        check_dropout("dropout", self.dropout)
        check_choice("inputs", self.inputs, INPUTS)
        check_choice("norm", self.norm, NORMS)


class ResidualBlock(nn.Module):
    """relu(branch(x) + shortcut(x)); the branch is two convolutions, each with its norm."""

    def __init__(
        self,
        before: int,
        after: int,
        *,
        stride: int,
        convolution: MakeConvolution,
        norm: str,
        dims: int,
    ) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            convolution(before, after, stride),
            make_norm(norm, after, dims=dims),
            nn.ReLU(),
            convolution(after, after, 1),
            make_norm(norm, after, dims=dims),
        )
        self.shortcut = nn.Sequential()
        if stride > 1 or before != after:
            project = make_convolution(norm, before, after, dims=dims, kernel_size=1, stride=stride)
            self.shortcut = nn.Sequential(project, make_norm(norm, after, dims=dims))

    def forward(self, x: torch.Tensor, shifted: torch.Tensor | None = None) -> torch.Tensor:
        """`shifted`: what the branch sees in place of x."""
        return F.relu(self.branch(x if shifted is None else shifted) + self.shortcut(x))


def make_blocks(
    channels: tuple[int, ...], *, blocks: int, convolution: MakeConvolution, norm: str, dims: int
) -> nn.ModuleList:
    """The blocks of all stages behind a stem of `channels[0]` channels, with first weights."""
    made: list[ResidualBlock] = []
    before = channels[0]
    for stage, after in enumerate(channels):
        for block in range(blocks):
            stride = 2 if stage > 0 and block == 0 else 1
            made.append(
                ResidualBlock(
                    before, after, stride=stride, convolution=convolution, norm=norm, dims=dims
                )
            )
            before = after
    for each in made:
        initialise(each)
        if norm in ("none", "weight"):
            _calm(each, share=len(made) ** -0.5)
    return nn.ModuleList(made)


def _calm(block: ResidualBlock, *, share: float) -> None:
    """Where maps are not normalised every block would double the variance: n small branches add up
    to one."""
    *_, last = (
        layer for layer in block.branch.modules() if isinstance(layer, nn.Conv2d | nn.Conv3d)
    )
    scale_(last, share)


class FrameResNet(nn.Module):
    """uint8 (B, T, H, W, 3) to logits (B, K): frame features averaged over time, then linear.

    shift: what a block's branch sees of (B, T, C, H, W) in place of its input; by default nothing
    passes between frames. With channels (64, 128, 256, 512), 2 blocks and norm `batch` the frames'
    network is ResNet-18.
    """

    def __init__(
        self,
        config: ResidualConfig,
        *,
        num_outputs: int,
        shift: Callable[[torch.Tensor], torch.Tensor] | None = None,
    ) -> None:
        super().__init__()
        channels, inputs, norm = tuple(config.channels), INPUTS[config.inputs], config.norm
        self._prepare, self._shift = inputs.prepare, shift

        def convolution(before: int, after: int, stride: int) -> nn.Module:
            return make_convolution(
                norm, before, after, dims=2, kernel_size=3, stride=stride, padding=1
            )

        self.stem = nn.Sequential(
            make_convolution(
                norm, inputs.channels, channels[0], dims=2, kernel_size=7, stride=2, padding=3
            ),
            make_norm(norm, channels[0], dims=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        initialise(self.stem)
        self.blocks = make_blocks(
            channels, blocks=config.blocks, convolution=convolution, norm=norm, dims=2
        )
        self.head = nn.Sequential(nn.Dropout(config.dropout), nn.Linear(channels[-1], num_outputs))

    def forward(self, frames_bthwc: torch.Tensor) -> torch.Tensor:
        x_btchw = self._prepare(frames_bthwc)
        time = x_btchw.shape[1]
        x_nchw = self.stem(x_btchw.flatten(0, 1))
        for block in self.blocks:
            shifted = None
            if self._shift is not None:
                shifted = self._shift(x_nchw.unflatten(0, (-1, time))).flatten(0, 1)
            x_nchw = block(x_nchw, shifted)
        return self.head(x_nchw.mean(dim=(2, 3)).unflatten(0, (-1, time)).mean(dim=1))


def halvings(channels: tuple[int, ...]) -> int:
    """How often `FrameResNet` halves a frame: its stem twice, each stage but the first once."""
    return 1 + len(channels)
