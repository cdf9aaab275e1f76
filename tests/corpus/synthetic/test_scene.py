"""What is drawn can be seen, and its mask is where it was drawn."""

import numpy as np
import pytest

from videoproc.corpus.synthetic.actions import LABELS, Motion, draw_motion
from videoproc.corpus.synthetic.scene import INRADIUS, Actor, draw_actor, draw_camera, draw_frames


def draw(seed: int, label: str = "right"):
    rng = np.random.default_rng(seed)
    camera = draw_camera(rng, height=96, width=128, fps=12.0)
    motion = draw_motion(label, rng, num_frames=24, height=96, width=128)
    actor = draw_actor(rng, motion)
    return actor, *draw_frames(camera, [actor], rng, num_frames=24)


@pytest.mark.parametrize("label", LABELS)
def test_the_shape_stands_out_before_every_background(label):
    for seed in range(12):
        _, frames, (mask,) = draw(seed, label)
        inside = frames[mask].astype(float)
        outside = frames[~mask].astype(float)
        assert np.linalg.norm(inside.mean(0) - outside.mean(0)) > 80


@pytest.mark.parametrize("label", LABELS)
def test_the_mask_follows_the_motion(label):
    for seed in range(6):
        actor, _, (mask,) = draw(seed, label)
        for t in (0, 12, 23):
            rows, columns = np.nonzero(mask[t])
            middle = np.array([columns.mean(), rows.mean()]) + 0.5
            # The camera shakes, and a triangle may be cut at the edge.
            assert np.abs(middle - actor.motion.centre_xy[t]).max() < 6


@pytest.mark.parametrize("shape", INRADIUS)
def test_every_shape_has_the_area_of_its_disc(shape):
    camera = draw_camera(np.random.default_rng(0), height=96, width=128, fps=12.0)
    motion = Motion(centre_xy=np.full((1, 2), 48.0), radius_px=np.full(1, 20.0))
    actor = Actor(
        motion=motion, start_frame=0, shape=shape, angle_rad=0.3, colour_rgb=np.full(3, 255.0)
    )
    _, (mask,) = draw_frames(camera, [actor], np.random.default_rng(0), num_frames=1)
    assert mask.sum() == pytest.approx(np.pi * 20.0**2, rel=0.03)


def test_two_cameras_look_different_and_one_looks_the_same_twice():
    first, second, again = (
        draw_camera(np.random.default_rng(seed), height=48, width=64, fps=12.0).background_hwc
        for seed in (1, 2, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - second).mean() > 5
