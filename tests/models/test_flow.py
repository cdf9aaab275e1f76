"""Optical flow in torch."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from videoproc.models.flow import lucas_kanade

SIDE, MARGIN = 80, 12


def texture(seed: int = 0) -> np.ndarray:
    """Smooth noise in -1..1, wider than a frame by 30 pixels on each side."""
    noise = np.random.default_rng(seed).normal(size=(SIDE + 60, SIDE + 60))
    smooth = cv2.GaussianBlur(noise, (0, 0), 2)
    return (smooth / np.abs(smooth).max()).astype(np.float32)


def moved(right: int, down: int) -> tuple[torch.Tensor, torch.Tensor]:
    wide = texture()
    before, after = (
        wide[30 - y : 30 - y + SIDE, 30 - x : 30 - x + SIDE] for x, y in ((0, 0), (right, down))
    )
    return torch.tensor(before)[None], torch.tensor(after)[None]


@pytest.mark.parametrize(("right", "down"), [(0, 0), (1, 0), (0, -2), (3, 2), (5, -4)])
def test_a_shifted_frame_has_that_flow(right: int, down: int) -> None:
    inner = lucas_kanade(*moved(right, down))[0, :, MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert inner.mean(dim=(1, 2)).tolist() == pytest.approx([right, down], abs=0.1)
    assert (inner - torch.tensor([right, down])[:, None, None]).abs().median() < 0.15


def test_what_is_flat_does_not_move_however_its_light_changes() -> None:
    flat = torch.full((1, 40, 40), -0.5)
    assert lucas_kanade(flat, flat + 0.3).abs().max() == 0


def test_two_halves_may_move_apart() -> None:
    left, right = moved(-2, 0), moved(2, 0)
    before = torch.cat([left[0], right[0]], dim=2)
    after = torch.cat([left[1], right[1]], dim=2)
    found = lucas_kanade(before, after)[0, 0, MARGIN:-MARGIN]
    assert found[:, MARGIN : SIDE - MARGIN].median() == pytest.approx(-2, abs=0.1)
    assert found[:, SIDE + MARGIN : -MARGIN].median() == pytest.approx(2, abs=0.1)


@pytest.mark.parametrize("sides", [(2, 2), (7, 33), (16, 9)])
def test_frames_of_any_size_have_flow(sides: tuple[int, int]) -> None:
    frames = torch.rand(3, *sides)
    found = lucas_kanade(frames, frames.flip(0))
    assert found.shape == (3, 2, *sides)
    assert found.isfinite().all()
