"""Turning moves pixels as NumPy does by quarter turns, and as kornia does by any angle."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from kornia.geometry.transform import rotate as kornia_rotate

from videoproc.augment import rotate


@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_quarter_turns_of_a_square_are_numpys(noise, quarters):
    square = noise[:, :16, :16]
    made = rotate.apply(square, rotate.Params(degrees=90.0 * quarters))
    expected = np.rot90(square, quarters, axes=(1, 2)).astype(int)
    assert np.abs(made - expected).max() <= 1  # Pillow rounds down


@pytest.mark.parametrize("degrees", [-25.0, 10.0, 70.0])
def test_any_turn_is_kornias(noise, degrees):
    made = rotate.apply(noise, rotate.Params(degrees=degrees))
    frames = torch.from_numpy(noise).permute(0, 3, 1, 2).float()
    expected = kornia_rotate(frames, torch.full((len(noise),), degrees)).permute(0, 2, 3, 1)
    # Not at the border, where one fades to black and the other ends sharply.
    inside = kornia_rotate(torch.ones_like(frames), torch.full((len(noise),), degrees))
    inside = (inside.permute(0, 2, 3, 1) > 0.999).numpy()
    assert inside.mean() > 0.4
    assert np.abs(made - expected.numpy())[inside].max() < 2


def test_the_corners_become_black():
    white = np.full((2, 21, 31, 3), 255, np.uint8)
    made = rotate.apply(white, rotate.Params(degrees=30.0))
    assert (made[:, [0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    assert (made[:, 10, 15] == 255).all()
