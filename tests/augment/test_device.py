"""On the device clips are augmented as the same views are by NumPy and PyAV."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from videoproc.augment import Augmentation, draw_view
from videoproc.augment.device import augment_frames

NOTHING = {"views": 2, "min_crop_area": 1.0, "jitter": 0.0}
DEVICES = [
    "cpu",
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.gpu,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
        ],
    ),
]


@pytest.fixture
def clips():
    """Smooth and neither dark nor bright: what moves by a part of a pixel changes little."""
    b, t, y, x = np.mgrid[:5, :4, :33, :48]
    wave = np.stack([np.sin((x + 2 * t + b) / 7), np.cos(y / 5 + b), np.sin((x + y) / 9)], -1)
    return (127 + 60 * wave).astype(np.uint8)


def views_of(clips, **settings):
    augmentation = Augmentation(**NOTHING | settings)
    return [
        draw_view(clips.shape[1:4], augmentation=augmentation, seed=[i]) for i in range(len(clips))
    ]


def both(clips, views, device):
    made = augment_frames(torch.from_numpy(clips).to(device), views=views)
    assert (made.dtype, made.shape, made.device.type) == (torch.uint8, clips.shape, device)
    expected = np.stack([view.frames(clip) for clip, view in zip(clips, views, strict=True)])
    return made.cpu().numpy().astype(int), expected.astype(int)


@pytest.mark.parametrize("device", DEVICES)
def test_flips_are_the_same_to_the_byte(clips, device):
    views = views_of(clips, flip_horizontal=True, flip_vertical=True)
    assert len({view.matrix.tobytes() for view in views}) > 2
    made, expected = both(clips, views, device)
    assert (made == expected).all()


@pytest.mark.parametrize("device", DEVICES)
def test_crops_are_the_same_but_for_rounding(clips, device):
    made, expected = both(clips, views_of(clips, min_crop_area=0.3, crop_aspect=1.5), device)
    assert np.abs(made - expected)[:, :, 3:-3, 3:-3].max() <= 3
    assert np.abs(made - expected).mean() < 1


@pytest.mark.parametrize("device", DEVICES)
def test_colours_are_the_same_but_for_rounding(clips, device):
    made, expected = both(clips, views_of(clips, jitter=0.3), device)
    assert np.abs(made - expected).max() <= 1


@pytest.mark.parametrize("device", DEVICES)
def test_one_draw_holds_over_the_frames_of_a_clip(clips, device):
    still = np.repeat(clips[:, :1], 6, axis=1)
    made, _ = both(still, views_of(still, min_crop_area=0.3, jitter=0.3), device)
    assert (made == made[:, :1]).all()


def test_what_is_off_changes_nothing(clips):
    frames = torch.from_numpy(clips)
    assert augment_frames(frames, views=views_of(clips)) is frames


def test_a_clip_is_augmented_alone_as_among_others(clips):
    views = views_of(clips, min_crop_area=0.3, jitter=0.3, flip_horizontal=True)
    frames = torch.from_numpy(clips)
    alone = augment_frames(frames[2:3], views=views[2:3])
    assert (augment_frames(frames, views=views)[2:3].int() - alone.int()).abs().max() <= 1
