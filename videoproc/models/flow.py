"""Optical flow as networks see it: dense, in torch, on the device that the frames are on."""

from __future__ import annotations

import torch
import torch.nn.functional as F

LEVELS = 3
MIN_SIDE = 8
WINDOW = 7
ITERATIONS = 2
FLAT = 1e-3
"""Added to the squares of gradients of grey in -1..1: where nothing but noise is, nothing moves."""


def lucas_kanade(before_nhw: torch.Tensor, after_nhw: torch.Tensor) -> torch.Tensor:
    """(N, 2, H, W): by how many pixels right and down what is in `before` has moved in `after`.

    Lucas and Kanade 1981 by least squares in windows of 7x7, from coarse to fine (Bouguet 2001)
    over three levels where the frame's sides allow: motion of up to about 6 pixels. Grey in -1..1.
    """
    levels = [(before_nhw[:, None], after_nhw[:, None])]
    while len(levels) < LEVELS and min(levels[-1][0].shape[2:]) >= 2 * MIN_SIDE:
        levels.append((F.avg_pool2d(levels[-1][0], 2), F.avg_pool2d(levels[-1][1], 2)))
    flow = torch.zeros_like(levels[-1][0]).expand(-1, 2, -1, -1)
    for before, after in reversed(levels):
        if flow.shape[2:] != before.shape[2:]:
            flow = 2 * F.interpolate(flow, before.shape[2:], mode="bilinear")
        for _ in range(ITERATIONS):
            flow = flow + _step(before, _moved_back(after, flow))
    return flow


def _step(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    """The flow between two frames that differ by less than about a pixel, at most one."""
    middle = F.pad((before + after) / 2, (1, 1, 1, 1), mode="replicate")
    dx = (middle[..., 1:-1, 2:] - middle[..., 1:-1, :-2]) / 2
    dy = (middle[..., 2:, 1:-1] - middle[..., :-2, 1:-1]) / 2
    dt = after - before
    products = torch.cat([dx * dx, dx * dy, dy * dy, dx * dt, dy * dt], dim=1)
    means = F.avg_pool2d(products, WINDOW, stride=1, padding=WINDOW // 2)
    xx, xy, yy, xt, yt = means.split(1, dim=1)
    xx, yy = xx + FLAT, yy + FLAT
    by = xx * yy - xy * xy
    return torch.cat([xy * yt - yy * xt, xy * xt - xx * yt], dim=1).div(by).clamp(-1, 1)


def _moved_back(after: torch.Tensor, flow: torch.Tensor) -> torch.Tensor:
    """`after` as it would be without the flow."""
    height, width = after.shape[2:]
    y = torch.arange(height, device=after.device, dtype=after.dtype)[:, None] + flow[:, 1]
    x = torch.arange(width, device=after.device, dtype=after.dtype) + flow[:, 0]
    places = torch.stack([(2 * x + 1) / width - 1, (2 * y + 1) / height - 1], dim=-1)
    return F.grid_sample(after, places, padding_mode="border", align_corners=False)
