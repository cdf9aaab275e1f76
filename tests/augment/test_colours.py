"""A matrix changes colours as exact arithmetic says, and takes memory for a frame only."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from videoproc.augment import Augmentation, draw_view
from videoproc.augment.colours import recolour

MATRIX = np.array([[0.9, 0.3, -0.1], [0.2, 1.5, 0.0], [-0.4, 0.1, 0.6]])


def test_colours_are_those_of_exact_arithmetic(noise):
    exact = np.einsum("ij,thwj->thwi", MATRIX, noise.astype(np.float64)) - 20.3
    made = recolour(noise, MATRIX, offset=-20.3)
    assert {0, 255} <= set(made.ravel().tolist()), "some are clipped"
    assert np.abs(made - exact.clip(0, 255)).max() <= 0.501


@pytest.mark.parametrize("settings", [{"jitter": 0.5}, {"hue_deg": 90.0}, {"grey": 1.0}])
def test_a_long_clip_is_never_there_as_floats(settings):
    clip = np.zeros((200, 60, 80, 3), np.uint8)
    off = {"views": 2, "min_crop_area": 1.0, "jitter": 0.0}
    view = draw_view(clip.shape[:3], augmentation=Augmentation(**off | settings), seed=[0])
    tracemalloc.start()
    view.frames(clip)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 2 * clip.nbytes
