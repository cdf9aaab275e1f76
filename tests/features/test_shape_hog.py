"""Oriented gradients are in the bin of their angle and the cell of their place."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.features.shape_hog import GRID


@pytest.fixture
def of(measure):
    def sums(frames):
        found = measure("shape_hog", frames)
        by_angle = [
            sum(value for name, value in found.items() if name.endswith(f"_{20 * i}deg"))
            for i in range(9)
        ]
        by_cell = [
            sum(v for name, v in found.items() if name.startswith(f"gradient_row{r}_column{c}_"))
            for r in range(GRID)
            for c in range(GRID)
        ]
        return found, np.array(by_angle), np.array(by_cell).reshape(GRID, GRID)

    return sums


@pytest.mark.parametrize("bin_", range(9))
def test_stripes_are_in_the_bin_of_their_gradient(of, still, stripes, bin_):
    # scikit-image counts angles up to down: 0 is a gradient to the right, 90 one downwards.
    _, by_angle, _ = of(still(stripes(20 * bin_ + 10, side=64)))
    assert by_angle.argmax() == bin_
    assert by_angle[bin_] > 0.6 * by_angle.sum()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (1, 3), (3, 2)])
def test_gradients_count_where_they_are(of, still, row, column):
    grey = np.full((64, 64), 50)
    grey[row * 16 + 4 : row * 16 + 12, column * 16 + 4 : column * 16 + 12] = 200
    _, _, by_cell = of(still(grey))
    assert by_cell[row, column] > 0
    assert by_cell.sum() == by_cell[row, column]


def test_half_the_contrast_is_the_same_shape(of, still, stripes):
    whole, _, _ = of(still(stripes(50)))
    half, _, _ = of(still(stripes(50) // 2))
    assert half == pytest.approx(whole, abs=0.02)


def test_only_what_changes_deviates(of, still, stripes):
    held = still(stripes(0, side=64))
    changing = held.copy()
    changing[1::2, :16, :16] = 128
    found, _, _ = of(changing)
    assert not any(v for name, v in of(held)[0].items() if name.startswith("deviation"))
    deviations = {n: v for n, v in found.items() if n.startswith("deviation")}
    assert max(deviations, key=deviations.get) == "deviation_row0_column0"
