"""Compression loses more the lower the quality, and keeps the picture where it is."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.augment import Augmentation, compress


@pytest.fixture
def moving():
    """A smooth pattern that moves, at odd sizes."""
    t, y, x = np.mgrid[:6, :45, :61]
    wave = np.stack([np.sin((x + 2 * t) / 7), np.cos(y / 5), np.sin((x + y) / 9)], axis=-1)
    return (127 + 100 * wave).astype(np.uint8)


def error(made, clip):
    return np.abs(made.astype(float) - clip).mean()


@pytest.mark.parametrize(
    ("setting", "good", "bad"), [("jpeg_quality", 95, 5), ("h264_crf", 18, 48)]
)
def test_a_lower_quality_loses_more(moving, setting, good, bad):
    off = {"jpeg_quality": None, "h264_crf": None}
    better, worse = (
        compress.apply(moving, compress.Params(**off | {setting: value})) for value in (good, bad)
    )
    assert better.shape == moving.shape
    assert 0 < error(better, moving) < 6  # H.264 halves the resolution of colours
    assert error(worse, moving) > 2 * error(better, moving)


def test_h264_gives_every_frame_in_its_place(moving):
    made = compress.apply(moving, compress.Params(jpeg_quality=None, h264_crf=18))
    nearest = [min(range(6), key=lambda s: error(frame, moving[s])) for frame in made]
    assert nearest == list(range(6))


def test_qualities_are_drawn_over_their_whole_ranges():
    rng = np.random.default_rng(0)
    settings = Augmentation(min_jpeg_quality=90, max_h264_crf=20)
    drawn = [compress.draw(rng, settings, (1, 8, 8)) for _ in range(300)]
    assert {params.jpeg_quality for params in drawn} == set(range(90, 96))
    assert {params.h264_crf for params in drawn} == {18, 19, 20}
