"""Colour moments in Lab are those that an independent conversion gives."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.color import rgb2lab

NAMES = ("lightness", "green_red", "blue_yellow")


@pytest.fixture
def of(measure):
    return lambda frames: measure("colour_moments", frames)


@pytest.fixture
def noise():
    # Narrow, so that Lab in bytes clips nothing.
    return np.random.default_rng(0).integers(60, 200, (4, 20, 24, 3), np.uint8)


def lab(frames):
    return rgb2lab(frames) / (100, 128, 128)


def test_moments_are_those_of_scikit_images_lab(of, noise):
    found, pixels = of(noise), lab(noise).reshape(-1, 3)
    third = np.cbrt(((pixels - pixels.mean(axis=0)) ** 3).mean(axis=0))
    for c, name in enumerate(NAMES):
        assert found[f"{name}_mean"] == pytest.approx(pixels[:, c].mean(), abs=0.01)
        assert found[f"{name}_deviation"] == pytest.approx(pixels[:, c].std(), abs=0.01)
        assert found[f"{name}_skewness"] == pytest.approx(third[c], abs=0.02)


def test_red_lies_on_the_red_and_yellow_sides(of):
    red = np.zeros((2, 16, 16, 3), np.uint8)
    red[..., 0] = 255
    found, (lightness, green_red, blue_yellow) = of(red), lab(red)[0, 0, 0]
    assert found["lightness_mean"] == pytest.approx(lightness, abs=0.01)
    assert found["green_red_mean"] == pytest.approx(green_red, abs=0.01)
    assert found["blue_yellow_mean"] == pytest.approx(blue_yellow, abs=0.01)
    assert found["lightness_deviation"] == pytest.approx(0, abs=1e-6)


def test_a_flash_changes_lightness_and_no_colour(of):
    frames = np.zeros((5, 16, 16, 3), np.uint8)
    frames[2] = 255
    found = of(frames)
    assert found["lightness_change"] == pytest.approx(0.5)  # up and down in 4 steps
    assert found["lightness_mean_deviation"] == pytest.approx(0.4)
    assert found["green_red_change"] == found["blue_yellow_change"] == 0


def test_a_still_clip_has_no_deviation_over_time(of, noise):
    found = of(np.repeat(noise[:1], 3, axis=0))
    moments = [f"{name}_{kind}_deviation" for name in NAMES for kind in ("mean", "skewness")]
    assert [found[name] for name in moments] == pytest.approx([0] * 6, abs=1e-6)


def test_colourfulness_is_hasler_and_suesstrunks(of, noise):
    found = of(noise[:1])
    red, green, blue = np.moveaxis(noise[0] / 255, -1, 0)
    rg, yb = red - green, (red + green) / 2 - blue
    expected = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    assert found["colourfulness_mean"] == pytest.approx(expected, abs=1e-5)
    assert of(np.full((2, 16, 16, 3), 77, np.uint8))["colourfulness_mean"] == 0
