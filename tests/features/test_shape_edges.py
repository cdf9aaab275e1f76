"""Edges are in the bin of their orientation and the cell of their place."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.features.shape_edges import GRID, ORIENTATIONS


@pytest.fixture
def of(measure):
    return lambda frames: measure("shape_edges", frames)


@pytest.mark.parametrize("bin_", range(ORIENTATIONS))
def test_stripes_have_the_orientation_of_their_gradient(of, still, stripes, bin_):
    found = of(still(stripes(15 * bin_)))
    shares = [found[f"orientation_{15 * i}deg_mean"] for i in range(ORIENTATIONS)]
    assert np.argmax(shares) == bin_
    assert shares[bin_] > 0.9
    assert sum(shares) == pytest.approx(1)


def test_a_still_clip_has_no_deviation(of, still, texture):
    found = of(still(texture[:96, :96]))
    assert not any(value for name, value in found.items() if name.endswith("deviation"))


def test_edges_are_counted_where_they_are(of, square):
    found = of(square([52, 52], size=16, top=28))
    cells = {n: v for n, v in found.items() if n.startswith("density_row")}
    assert max(cells, key=cells.get) == "density_row1_column2"
    assert np.mean(list(cells.values())) == pytest.approx(found["density_mean"])
    assert found["density_mean"] == pytest.approx(4 * 16 / 96**2, rel=0.1)


def test_a_flat_clip_has_no_edge(of, still):
    assert not any(of(still(np.full((40, 40), 99))).values())
    assert len(of(still(np.full((40, 40), 99)))) == 2 * (ORIENTATIONS + 1) + GRID**2
