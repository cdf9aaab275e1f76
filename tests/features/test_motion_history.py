"""Motion history: where it has moved, when last, and which way it went."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def of(measure):
    return lambda frames: measure("motion_history", frames)


@pytest.mark.parametrize(("turns", "degrees"), [(0, 0), (1, 270), (2, 180), (3, 90)], ids=str)
def test_the_history_grows_to_where_the_motion_went(of, square, turns, degrees):
    frames = square(range(5, 70, 4))
    found = of(np.ascontiguousarray(np.rot90(frames, turns, axes=(1, 2))))
    directions = {n: v for n, v in found.items() if n.startswith("direction")}
    assert max(directions, key=directions.get) == f"direction_{degrees}deg"
    assert sum(directions.values()) == pytest.approx(1)


def test_the_energy_lies_where_it_moved_and_the_history_is_newest_at_the_end(of, square):
    found = of(square(range(5, 70, 4), top=38))
    middle = [f"row1_column{c}" for c in range(3)]
    assert all(found[f"energy_{cell}"] > 0.4 for cell in middle)
    assert found["energy_row0_column1"] == found["energy_row2_column1"] == 0
    recent = [found[f"history_{cell}"] / found[f"energy_{cell}"] for cell in middle]
    assert recent == sorted(recent)
    assert recent[2] > 0.7


def test_what_blinks_moves_in_every_pair_in_place(of, square):
    frames = square([40] * 6)
    frames[::2] = 0
    found = of(frames)
    assert found["moved_often"] == 1
    assert found["moved"] == pytest.approx((20 + 2) ** 2 / 96**2, rel=0.05)


def test_a_still_clip_has_no_history(of, still, texture):
    assert not any(of(still(texture[:96, :96])).values())
