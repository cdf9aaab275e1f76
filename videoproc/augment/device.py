"""Crops, flips and colours in the training step, on the device that the model is on, by kornia."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from videoproc.augment.view import View
from videoproc.geometry import affine


def augment_frames(frames_bthwc: torch.Tensor, *, views: Sequence[View]) -> torch.Tensor:
    """Frames as their views show them, each clip by its own: flip, crop and jitter of `views`.

    uint8 (B, T, H, W, 3) in and out. Against the same view of `View.frames` values differ by
    rounding, by what lies just outside a crop (here its edge sees it), and where colours leave
    [0, 255] on the way.
    """
    if not any(view.params for view in views):
        return frames_bthwc
    x_bcthw = frames_bthwc.permute(0, 4, 1, 2, 3).float() / 255
    x_bcthw = _move(x_bcthw, np.stack([view.matrix for view in views]))
    x_bcthw = _jitter(x_bcthw, [view.params.get("jitter") for view in views])
    made = (x_bcthw * 255).round().clamp(0, 255).to(torch.uint8)
    return made.permute(0, 2, 3, 4, 1).contiguous()


def _move(x_bcthw: torch.Tensor, matrix_b33: np.ndarray) -> torch.Tensor:
    if (matrix_b33 == np.eye(3)).all():
        return x_bcthw
    from kornia.geometry.transform import warp_affine  # only who moves pixels waits for it

    height, width = x_bcthw.shape[-2:]
    # kornia counts from the middle of the first pixel; ours from its corner.
    counted = affine.translation(-0.5, -0.5) @ matrix_b33 @ affine.translation(0.5, 0.5)
    matrix_b23 = torch.from_numpy(counted[:, :2]).to(x_bcthw)
    # A clip as one picture of C x T channels: one map holds for all its frames.
    moved = warp_affine(x_bcthw.flatten(1, 2), matrix_b23, (height, width), padding_mode="border")
    return moved.view(x_bcthw.shape)


def _jitter(x_bcthw: torch.Tensor, params: Sequence[object]) -> torch.Tensor:
    if not any(params):
        return x_bcthw
    from kornia import enhance

    brightness, contrast, saturation = (
        torch.tensor([getattr(p, name, 1.0) for p in params], device=x_bcthw.device)
        for name in ("brightness", "contrast", "saturation")
    )
    # A clip as one picture T x H high: contrast is about the mean of the clip.
    x_bchw = x_bcthw.flatten(2, 3)
    x_bchw = enhance.adjust_brightness_accumulative(x_bchw, brightness, clip_output=False)
    x_bchw = enhance.adjust_saturation_with_gray_subtraction(x_bchw, saturation)
    x_bchw = enhance.adjust_contrast_with_mean_subtraction(x_bchw, contrast)
    return x_bchw.view(x_bcthw.shape)
