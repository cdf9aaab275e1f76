"""A shifted image has that flow, in diagonals a second, whatever the clip's size and rate."""

from __future__ import annotations

import numpy as np
import pytest

SIDE = 96
DIAGONAL_PX = np.hypot(SIDE, SIDE)


@pytest.fixture
def of(measure):
    return lambda frames, **times: measure("flow", frames, **times)


@pytest.mark.parametrize(
    ("right_px", "down_px", "degrees"),
    [(2, 0, 0), (2, 2, 45), (0, 3, 90), (-2, 0, 180), (0, -1, 270)],
)
def test_a_shifted_image_has_that_flow(of, sliding, right_px, down_px, degrees):
    found = of(sliding(right_px, down_px), fps=25)
    expected = np.hypot(right_px, down_px) * 25 / DIAGONAL_PX
    assert found["speed_q50_mean"] == pytest.approx(expected, rel=0.03)
    assert found["camera_speed_mean"] == pytest.approx(expected, rel=0.03)
    assert found[f"direction_{degrees}deg"] > 0.9
    assert found["one_direction"] > 0.95
    assert found["coverage_mean"] > 0.95


def test_a_moving_camera_leaves_no_residual(of, sliding):
    found = of(sliding(2, 1))
    assert found["residual_speed_mean"] < 0.1 * found["speed_mean"]


def test_a_still_clip_has_no_flow(of, still, texture):
    found = of(still(texture[:96, :96]))
    assert found["speed_mean"] < 0.001
    assert found["coverage_max"] == found["one_direction"] == 0
    assert not any(value for name, value in found.items() if "direction_" in name)


def test_half_the_frame_rate_is_half_the_speed(of, sliding):
    fast, slow = (of(sliding(2, 0), fps=fps) for fps in (50, 25))
    assert fast["speed_mean"] == pytest.approx(2 * slow["speed_mean"])


def test_the_same_motion_sampled_half_as_often_has_the_same_speed(of, sliding):
    frames = sliding(1, 0, num_frames=9)
    every, second = of(frames, fps=50), of(frames[::2], fps=25)
    assert second["speed_mean"] == pytest.approx(every["speed_mean"], rel=0.03)


def test_a_larger_clip_of_the_same_has_the_same_speed(of, sliding):
    frames = sliding(2, 0)
    larger = frames.repeat(2, axis=1).repeat(2, axis=2)
    assert of(larger)["speed_mean"] == pytest.approx(of(frames)["speed_mean"], rel=0.05)


def test_between_bursts_no_flow_is_measured(of, sliding):
    one, other = sliding(2, 0, num_frames=3), sliding(2, 0, num_frames=3)[:, ::-1]
    frames = np.concatenate([one, other])
    bursts = of(frames, pts_s=[0.0, 0.04, 0.08, 5.0, 5.04, 5.08])
    alone = of(one, pts_s=[0.0, 0.04, 0.08])
    assert bursts["speed_mean"] == pytest.approx(alone["speed_mean"], rel=0.02)
    assert bursts["direction_0deg"] > 0.9


def test_played_backwards_it_goes_the_other_way(of, sliding):
    frames, pts_s = sliding(2, 0), np.arange(6) / 25
    there, back = of(frames, pts_s=pts_s), of(frames[::-1], pts_s=pts_s[::-1])
    assert back["direction_180deg"] == pytest.approx(there["direction_0deg"], abs=0.05)


@pytest.fixture
def walker(texture):
    """A textured patch of 32 x 32 that moves 2 pixels a frame to the right over a still ground."""
    frames = np.repeat(texture[None, :96, :96], 6, axis=0)
    for t, frame in enumerate(frames):
        frame[4:36, 6 + 2 * t : 38 + 2 * t] = texture[200:232, 200:232]
    return np.ascontiguousarray(frames[..., None].repeat(3, axis=-1))


def test_something_that_moves_before_a_still_camera_is_residual(of, walker):
    found = of(walker)
    assert found["camera_speed_max"] < 0.02
    assert found["residual_speed_mean"] == pytest.approx(found["speed_mean"], rel=0.1)
    assert 32**2 / 96**2 < found["coverage_mean"] < 0.35
    assert found["residual_direction_0deg"] > 0.7


def test_its_place_shows_in_the_grid(of, walker):
    cells = {n: v for n, v in of(walker).items() if n.startswith("speed_row")}
    assert max(cells, key=cells.get) == "speed_row0_column0"
    assert cells["speed_row2_column2"] < 0.05 * cells["speed_row0_column0"]


def test_motion_in_the_last_third_shows_there(of, sliding):
    moving = sliding(2, 0, num_frames=4)
    frames = np.concatenate([np.repeat(moving[:1], 6, axis=0), moving])  # 9 pairs, 3 of them move
    found = of(frames)
    assert found["coverage_part0"] == found["coverage_part1"] == 0
    assert found["coverage_part2"] > 0.95
    assert found["speed_median"] < 0.001 < 0.1 < found["speed_q90"]
    assert found["speed_max"] == pytest.approx(3 * found["speed_mean"], rel=0.05)


def test_a_zoom_diverges_and_a_turn_curls(of, texture):
    y, x = np.mgrid[-48:48, -48:48]

    def seen(scale, radians):
        cos, sin = np.cos(radians) / scale, np.sin(radians) / scale
        rows, columns = (160 - sin * x + cos * y), (160 + cos * x + sin * y)
        return texture[rows.round().astype(int), columns.round().astype(int)]

    def clip(zoom, turn):
        frames = np.stack([seen(1 + zoom * t, turn * t) for t in range(4)])
        return np.ascontiguousarray(frames[..., None].repeat(3, axis=-1))

    zoomed, turned = of(clip(0.03, 0.0)), of(clip(0.0, 0.03))
    assert zoomed["divergence_per_s_mean"] > 1.5 * zoomed["curl_per_s_mean"]
    assert turned["curl_per_s_mean"] > 1.5 * turned["divergence_per_s_mean"]
    # A frame 3 % larger each 1/25 s: the divergence of (0.03 x, 0.03 y) is 0.06 a frame.
    assert zoomed["divergence_per_s_mean"] == pytest.approx(0.06 * 25, rel=0.3)
