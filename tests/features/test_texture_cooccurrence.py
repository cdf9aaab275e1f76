"""Co-occurrence: stripes have a direction, a chequerboard a scale, a flat frame nothing."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.features.texture_cooccurrence import DIRECTIONS_DEG, DISTANCES_PX, LEVELS


@pytest.fixture
def of(measure):
    return lambda frames: measure("texture_cooccurrence", frames)


@pytest.mark.parametrize("across", DIRECTIONS_DEG)
def test_stripes_contrast_across_and_not_along(of, still, stripes, across):
    along = (across + 90) % 180
    found = of(still(stripes(across)))
    for distance in DISTANCES_PX:
        contrasts = {d: found[f"contrast_{distance}px_{d}deg"] for d in DIRECTIONS_DEG}
        assert contrasts[across] == pytest.approx(max(contrasts.values()), rel=0.01)
        assert contrasts[along] < 0.01 * contrasts[across]
        assert found[f"correlation_{distance}px_{along}deg"] > 0.99


def test_a_chequerboard_alternates_from_pixel_to_pixel(of, still):
    board = np.indices((32, 32)).sum(axis=0) % 2 * 255
    found = of(still(board))
    assert found["contrast_1px_0deg"] == (LEVELS - 1) ** 2
    assert found["dissimilarity_1px_90deg"] == LEVELS - 1
    assert found["correlation_1px_0deg"] == pytest.approx(-1)
    assert found["homogeneity_1px_0deg"] == pytest.approx(1 / (1 + (LEVELS - 1) ** 2))
    assert found["contrast_1px_45deg"] == found["contrast_6px_0deg"] == 0
    assert found["correlation_6px_0deg"] == pytest.approx(1)
    # Two pairs of levels, equally often.
    assert found["energy_1px_0deg"] == pytest.approx(np.sqrt(0.5))
    assert found["entropy_1px_0deg"] == pytest.approx(np.log(2))


def test_noise_is_complex_and_a_flat_frame_is_not(of, still):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64))
    found, flat = of(still(noise)), of(still(np.full((64, 64), 90)))
    assert found["entropy_1px_0deg"] > 0.9 * np.log(LEVELS**2)
    assert abs(found["correlation_1px_0deg"]) < 0.1
    assert flat["entropy_1px_0deg"] == pytest.approx(0, abs=1e-6)
    assert flat["contrast_1px_0deg"] == 0
    assert flat["energy_1px_0deg"] == flat["homogeneity_1px_0deg"] == 1


def test_a_larger_picture_of_the_same_has_the_same_texture(of, still, stripes):
    def large(factor):
        return still(stripes(0, side=128).repeat(factor, axis=0).repeat(factor, axis=1))

    assert of(large(3)) == pytest.approx(of(large(1)), rel=0.02, abs=0.02)


def test_only_a_texture_that_changes_deviates_over_time(of, still, stripes):
    held, blinking = still(stripes(0)), still(stripes(0))
    blinking[::2] = 128
    assert of(held)["contrast_deviation"] == 0
    assert of(blinking)["contrast_deviation"] > 1
