"""What becomes a vector, and clips that do not divide."""

from __future__ import annotations

import pytest
import torch

from tests.models.toys import clips, make
from videoproc.models import model_config
from videoproc.types import UserError


def test_a_clip_is_filled_up_with_its_last_frame_and_its_borders_pixels() -> None:
    model = make("video_transformer").eval()
    clip = clips(num=1, frames=3, side=14)
    rows = [*range(14), 13, 13]
    filled = clip[:, [0, 1, 2, 2]][:, :, rows][:, :, :, rows]
    torch.testing.assert_close(model(clip), model(filled))


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_patches_know_their_place(axis: str) -> None:
    model, clip = make("video_transformer").eval(), clips(num=1)
    swapped = clip.roll(4, dims=2 if axis == "rows" else 3)  # by one patch: the same patches
    assert (model(swapped) - model(clip)).abs().max() > 1e-4


def test_heads_that_do_not_divide_the_width_are_refused() -> None:
    with pytest.raises(UserError, match="heads is 3 and width is 128: use heads that divide it"):
        model_config("video_transformer", {"heads": 3})
