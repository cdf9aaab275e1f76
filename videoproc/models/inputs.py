"""What a network sees of uint8 frames: every network normalises by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F

from videoproc.models.flow import lucas_kanade


class Inputs(NamedTuple):
    """The number of channels of each frame, and how they are made of (B, T, H, W, 3)."""

    channels: int
    prepare: Callable[[torch.Tensor], torch.Tensor]


def normalise(frames_bthwc: torch.Tensor) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) to float (B, T, 3, H, W), 0..255 mapped to -1..1."""
    return frames_bthwc.permute(0, 1, 4, 2, 3).float() / 127.5 - 1


def difference(frames_bthwc: torch.Tensor) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) to (B, T, 1, H, W): how the grey value in -1..1 differs from the frame
    before (0 in the first), scaled by 4 since most differences are small."""
    grey = _grey(frames_bthwc)
    return torch.cat([torch.zeros_like(grey[:, :1]), 4 * grey.diff(dim=1)], dim=1)


def grey_and_difference(frames_bthwc: torch.Tensor) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) to (B, T, 2, H, W): the grey value in -1..1, and `difference`."""
    return torch.cat([_grey(frames_bthwc), difference(frames_bthwc)], dim=2)


def burst_differences(frames_bthwc: torch.Tensor, *, burst_frames: int) -> torch.Tensor:
    """uint8 (B, P * k, H, W, 3), bursts of k > 1, to (B, P, k - 1, H, W): `difference` between the
    frames of each burst, as channels."""
    bursts = _grey(frames_bthwc).squeeze(2).unflatten(1, (-1, burst_frames))
    return 4 * bursts.diff(dim=2)


def flow(frames_bthwc: torch.Tensor) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) to (B, T, 2, H, W): optical flow since the frame before, right and down
    in units of four pixels (0 in the first frame)."""
    moved = _flow(_grey(frames_bthwc).squeeze(2))
    return torch.cat([torch.zeros_like(moved[:, :1]), moved], dim=1)


def grey_and_flow(frames_bthwc: torch.Tensor) -> torch.Tensor:
    """uint8 (B, T, H, W, 3) to (B, T, 3, H, W): the grey value in -1..1, and `flow`."""
    return torch.cat([_grey(frames_bthwc), flow(frames_bthwc)], dim=2)


def burst_flow(frames_bthwc: torch.Tensor, *, burst_frames: int) -> torch.Tensor:
    """uint8 (B, P * k, H, W, 3), bursts of k > 1, to (B, P, 2 * (k - 1), H, W): `flow` between the
    frames of each burst, as channels."""
    bursts = _grey(frames_bthwc).squeeze(2).unflatten(1, (-1, burst_frames))
    return _flow(bursts.flatten(0, 1)).flatten(1, 2).unflatten(0, bursts.shape[:2])


def _flow(grey_bthw: torch.Tensor) -> torch.Tensor:
    """(B, T - 1, 2, H, W), in units of four pixels.

    Found at half the size, which takes a quarter of the time and doubles what motion it can follow.
    """
    small = F.avg_pool2d(grey_bthw, 2, ceil_mode=True)
    moved = lucas_kanade(small[:, :-1].flatten(0, 1), small[:, 1:].flatten(0, 1))
    whole = F.interpolate(moved, grey_bthw.shape[2:], mode="bilinear") / 2
    return whole.unflatten(0, (grey_bthw.shape[0], -1))


def _grey(frames_bthwc: torch.Tensor) -> torch.Tensor:
    return normalise(frames_bthwc).mean(dim=2, keepdim=True)


INPUTS: dict[str, Inputs] = {
    "rgb": Inputs(3, normalise),
    "grey_and_difference": Inputs(2, grey_and_difference),
    "difference": Inputs(1, difference),
    "grey_and_flow": Inputs(3, grey_and_flow),
    "flow": Inputs(2, flow),
}


def with_coordinates(x_nchw: torch.Tensor) -> torch.Tensor:
    """Append each pixel's x and y in -1..1 as two channels (Liu et al. 2018, CoordConv).

    The mean over space forgets where things are; with these channels a filter can answer to a
    thing and its place, so that a network on top can see it move.
    """
    n, _, height, width = x_nchw.shape
    y = torch.linspace(-1, 1, height, device=x_nchw.device, dtype=x_nchw.dtype)
    x = torch.linspace(-1, 1, width, device=x_nchw.device, dtype=x_nchw.dtype)
    grid = torch.stack(torch.meshgrid(y, x, indexing="ij")).flip(0)
    return torch.cat([x_nchw, grid.expand(n, 2, height, width)], dim=1)
