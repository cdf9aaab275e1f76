"""Within a pair of classes only time tells them apart."""

import numpy as np
import pytest

from videoproc.corpus.synthetic.actions import LABELS, REVERSE_OF, draw_motion

PAIRS = sorted(REVERSE_OF.items())


def draw(label: str, seed: int = 0):
    return draw_motion(label, np.random.default_rng(seed), num_frames=24, height=96, width=128)


@pytest.mark.parametrize(("second", "first"), PAIRS)
def test_the_second_class_of_a_pair_is_the_first_run_backwards(second, first):
    for seed in range(20):
        forward, backward = draw(first, seed), draw(second, seed)
        np.testing.assert_array_equal(backward.centre_xy[::-1], forward.centre_xy)
        np.testing.assert_array_equal(backward.radius_px[::-1], forward.radius_px)


@pytest.mark.parametrize(("second", "first"), PAIRS)
def test_averages_over_time_have_the_same_distribution_in_both_classes(second, first):
    def averages(label):
        rng = np.random.default_rng(7)
        motions = [draw_motion(label, rng, num_frames=24, height=96, width=128) for _ in range(400)]
        return np.array([[*p.centre_xy.mean(0), p.radius_px.mean()] for p in motions])

    np.testing.assert_allclose(averages(first), averages(second))


@pytest.mark.parametrize(
    ("label", "axis", "sign"), [("right", 0, 1), ("left", 0, -1), ("down", 1, 1), ("up", 1, -1)]
)
def test_a_crossing_goes_its_way_over_more_than_half_of_the_frame(label, axis, sign):
    for seed in range(50):
        steps = np.diff(draw(label, seed).centre_xy[:, axis]) * sign
        assert (steps >= 0).all()
        assert steps.sum() > 0.5 * (128, 96)[axis]


@pytest.mark.parametrize(("label", "sign"), [("approach", 1), ("recede", -1)])
def test_approaching_is_growing_at_least_two_and_a_half_times(label, sign):
    for seed in range(50):
        radius = draw(label, seed).radius_px[::sign]
        assert (np.diff(radius) >= 0).all()
        assert radius[-1] > 2.5 * radius[0]


@pytest.mark.parametrize("label", LABELS)
def test_the_centre_of_the_shape_never_leaves_the_frame(label):
    for seed in range(50):
        centre = draw(label, seed).centre_xy
        assert (centre > 0).all()
        assert (centre < [128, 96]).all()
