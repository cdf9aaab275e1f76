"""Colour histograms: a red clip is red, grey has no hue, and change is where it happens."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest

from videoproc.features.colour_histogram import CHANNELS, HUES, LEVELS


@pytest.fixture
def of(measure):
    return lambda frames: measure("colour_histogram", frames)


def one_colour(*rgb, num_frames=4):
    return np.full((num_frames, 16, 16, 3), rgb, np.uint8)


def test_a_red_clip_is_red(of):
    found = of(one_colour(255, 0, 0))
    assert found["hue_0deg_mean"] == found["saturation_bin7_mean"] == found["value_bin7_mean"] == 1
    assert sum(abs(value) for value in found.values()) == 3


@pytest.mark.parametrize("bin_", range(HUES))
def test_each_hue_has_the_bin_that_is_centred_on_it(of, bin_):
    for off in (-0.4, 0.0, 0.4):
        rgb = colorsys.hsv_to_rgb((bin_ + off) / HUES % 1, 1, 1)
        assert of(one_colour(*np.round(np.multiply(rgb, 255))))[f"hue_{30 * bin_}deg_mean"] == 1


def test_grey_has_no_hue_and_pale_little(of):
    hues = [f"hue_{30 * i}deg_mean" for i in range(HUES)]
    assert sum(of(one_colour(90, 90, 90))[name] for name in hues) == 0
    pale = of(one_colour(255, 204, 204))
    assert sum(pale[name] for name in hues) == pytest.approx(0.2, abs=0.01)


def test_value_and_saturation_each_count_every_pixel(of):
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
    found = of(frames)
    counts, _ = np.histogram(frames.max(axis=-1), bins=LEVELS, range=(0, 256))
    assert [found[f"value_bin{i}_mean"] for i in range(LEVELS)] == pytest.approx(
        counts / counts.sum(), abs=1e-6
    )
    assert sum(found[f"saturation_bin{i}_mean"] for i in range(LEVELS)) == pytest.approx(1)


def test_a_clip_that_turns_from_black_to_white_changes_its_value_once(of):
    frames = np.concatenate([one_colour(0, 0, 0), one_colour(255, 255, 255)])
    found = of(frames)
    assert found["value_change_max"] == 1
    assert found["value_change_mean"] == pytest.approx(1 / 7)
    assert found["value_bin0_mean"] == found["value_bin0_deviation"] == 0.5
    assert found["hue_change_max"] == found["saturation_change_max"] == 0


def test_a_clip_of_one_frame_has_no_change(of):
    frames = np.random.default_rng(0).integers(0, 256, (1, 20, 24, 3), np.uint8)
    found = of(frames)
    assert all(found[f"{channel}_change_max"] == 0 for channel in CHANNELS)


def test_a_mirrored_clip_has_the_same_colours(of):
    frames = np.random.default_rng(0).integers(0, 256, (3, 20, 24, 3), np.uint8)
    assert of(frames) == of(frames[:, :, ::-1])
