"""What the two streams see, and how they meet."""

from __future__ import annotations

import pytest
import torch

from tests.models.toys import clips, make
from videoproc.models import build_model, model_config
from videoproc.types import UserError


def test_late_fusion_is_the_mean_of_two_networks_that_stand_alone() -> None:
    model = make("two_stream", fusion="late").eval()
    appearance = model.fusion.appearance(model.appearance(clips()).mean(dim=1))
    motion = model.fusion.motion(model.motion(clips()).mean(dim=1))
    torch.testing.assert_close(model(clips()), (appearance + motion) / 2)


def test_cross_attention_lets_the_motion_of_one_frame_change_every_frames_appearance() -> None:
    fusion = make("two_stream", fusion="cross_attention").eval().fusion
    appearance, motion = torch.randn(1, 4, 8), torch.randn(1, 4, 8)
    changed = motion.clone()
    changed[:, 2] += 1
    difference = fusion.to_motion(appearance, changed) - fusion.to_motion(appearance, motion)
    assert (difference.abs().amax(dim=2) > 1e-4).all()


@pytest.mark.parametrize("motion", ["difference", "flow"])
def test_the_change_between_bursts_is_not_seen(motion: str) -> None:
    still = clips(num=1, frames=2).repeat_interleave(2, dim=1)  # two bursts, each a still
    model = make("two_stream", burst_frames=2, motion=motion).eval()
    seen = model.motion(still)
    torch.testing.assert_close(seen, model.motion(torch.zeros_like(still)))
    assert seen.shape[1] == 2
    assert make("two_stream", motion=motion).eval().motion(still).shape[1] == 4


def test_appearance_is_taken_from_the_first_frame_of_each_burst() -> None:
    model, frames = make("two_stream", burst_frames=2).eval(), clips(num=1)
    seen = []
    model.appearance.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(frames)
    assert seen[0].equal(frames[:, [0, 2]])


def test_clips_that_are_not_whole_bursts_are_refused() -> None:
    config = model_config("two_stream", {"burst_frames": 3})
    with pytest.raises(UserError, match="burst_frames is 3, and clips of 4 frames"):
        build_model("two_stream", config, num_outputs=2, frame_shape=(4, 16, 16, 3))
    with pytest.raises(UserError, match="burst_frames is 2, and clips of 5 frames"):
        make("two_stream", burst_frames=2)(clips(frames=5))
