"""The rhythm of motion is found: its frequency, its peaks."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def of(measure):
    return lambda frames: measure("motion_spectrum", frames)


def with_energies(levels):
    """A clip whose frames differ from the one before by these many grey levels."""
    greys = [100]
    for level in levels:
        greys.append(greys[-1] + (level if greys[-1] < 128 else -level))
    return np.array(greys, np.uint8)[:, None, None, None].repeat(32, 1).repeat(32, 2).repeat(3, 3)


@pytest.mark.parametrize("cycles", [1, 2, 4])
def test_a_rhythm_has_its_power_at_its_frequency(of, cycles):
    course = 20 + 15 * np.cos(2 * np.pi * cycles * np.arange(16) / 16)
    found = of(with_energies(course.round().astype(int)))
    assert found[f"power_{cycles}"] > 0.9
    assert found[f"cells_power_{cycles}"] > 0.9
    assert found["centroid"] == pytest.approx(cycles, abs=0.4)
    assert found["entropy"] < 0.25


def test_one_jolt_has_all_frequencies_alike(of):
    found = of(with_energies([0] * 7 + [40] + [0] * 8))
    powers = [found[f"power_{i}"] for i in range(1, 8)]
    assert max(powers) == pytest.approx(min(powers), rel=0.01)
    assert found["entropy"] > 0.95
    assert found["relative_max"] == pytest.approx(16)


def test_steady_motion_has_no_rhythm(of):
    assert not any(v for name, v in of(with_energies([20] * 16)).items())


def test_slow_change_resembles_itself_and_alternation_does_not(of):
    ramp, alternating = of(with_energies(range(1, 33, 2))), of(with_energies([5, 25] * 8))
    assert ramp["autocorrelation_1"] > 0.7
    assert alternating["autocorrelation_1"] < -0.8
    assert alternating["autocorrelation_2"] > 0.7


def test_the_same_course_in_fewer_pairs_has_the_same_slow_rhythm(of):
    def course(n):
        return (20 + 15 * np.cos(2 * np.pi * (np.arange(n) + 0.5) / n)).round().astype(int)

    assert of(with_energies(course(8)))["power_1"] > 0.8
    assert of(with_energies(course(31)))["power_1"] > 0.9
