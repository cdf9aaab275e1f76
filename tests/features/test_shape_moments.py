"""Hu's moments stay as they are when a shape moves, grows or turns."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from videoproc.features.shape_moments import SMALLEST, log_hu


def ell(side=128, left=20, top=20, scale=1):
    """An L of arms of 20 and 40 pixels, 10 wide, times `scale`."""
    mask = np.zeros((side, side), np.uint8)
    mask[top : top + 40 * scale, left : left + 10 * scale] = 1
    mask[top + 30 * scale : top + 40 * scale, left : left + 20 * scale] = 1
    return mask


def test_log_hu_is_opencvs_hu_moments_read_back():
    expected = cv2.HuMoments(cv2.moments(ell())).ravel()
    logs = log_hu(ell())
    back = np.sign(logs) * 10 ** (SMALLEST * (np.abs(logs) - 1))
    assert back[:4] == pytest.approx(expected[:4], rel=1e-6)


def test_a_disc_has_the_first_moment_of_a_disc():
    y, x = np.mgrid[-60:61, -60:61]
    disc = (x**2 + y**2 <= 50**2).astype(np.uint8)
    assert log_hu(disc)[0] == pytest.approx(1 + np.log10(1 / (2 * np.pi)) / SMALLEST, abs=1e-3)


@pytest.mark.parametrize(
    "changed", [ell(left=70, top=60), ell(scale=2), np.ascontiguousarray(np.rot90(ell()))]
)
def test_moved_grown_or_turned_it_is_the_same_shape(changed):
    assert log_hu(changed) == pytest.approx(log_hu(ell()), abs=0.02)


def test_only_the_last_moment_tells_a_shape_from_its_mirror_image():
    mirrored = log_hu(np.ascontiguousarray(ell()[:, ::-1]))
    assert mirrored[:6] == pytest.approx(log_hu(ell())[:6], abs=1e-6)
    assert mirrored[6] == pytest.approx(-log_hu(ell())[6])


def test_an_empty_image_has_none():
    assert not log_hu(np.zeros((16, 16), np.uint8)).any()


def test_a_clip_of_a_shape_has_its_moments_and_no_moving_ones(measure, still):
    found = measure("shape_moments", still(ell() * 200))
    assert [found[f"foreground_hu{i}_mean"] for i in range(1, 8)] == pytest.approx(log_hu(ell()))
    assert not any(value for name, value in found.items() if "deviation" in name)
    assert not any(value for name, value in found.items() if name.startswith("moving"))


def test_what_moves_has_moments_of_its_own(measure, square):
    found = measure("shape_moments", square([10, 40, 70]))
    assert found["moving_hu1_mean"] > found["foreground_hu1_mean"] > 0  # two squares, not one
