"""Gradients in space and time: edges that move count by direction and speed, where and when."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def of(measure):
    return lambda frames, **times: measure("space_time", frames, **times)


def total(found, *, part="", cell="", kind=""):
    return sum(
        value
        for name, value in found.items()
        if name.startswith(part) and cell in name and name.endswith(kind)
    )


def test_a_still_picture_is_still(of, still, texture):
    assert total(of(still(texture[:96, :96])), kind="still") == pytest.approx(1)


@pytest.mark.parametrize("degrees", [0, 45, 90, 135, 180, 225, 270, 315])
def test_stripes_move_along_their_normal(of, degrees):
    side, turn = 96, np.radians(degrees)
    y, x = np.mgrid[:side, :side]
    along = x * np.cos(turn) + y * np.sin(turn)
    greys = [127.5 + 100 * np.sin(2 * np.pi * (along - 2 * t) / 16) for t in range(4)]
    frames = np.ascontiguousarray(np.stack(greys)[..., None].repeat(3, axis=-1).astype(np.uint8))
    slow, fast = of(frames, fps=10), of(frames, fps=50)  # 0.15 and 0.74 diagonals a second
    assert total(slow, kind=f"slow_{degrees}deg") > 0.6
    assert total(fast, kind=f"fast_{degrees}deg") > 0.6


def test_light_that_goes_on_flickers(of):
    frames = np.zeros((3, 40, 40, 3), np.uint8)
    frames[1:] = 150
    assert total(of(frames), kind="flickers") == pytest.approx(1)


def test_gradients_count_where_and_when_they_are(of, square):
    frames = square([60, 60, 60, 60], top=10)
    frames[2:] = 0  # it goes away between the second and the third of four frames
    found = of(frames)
    assert total(found, cell="row0_column1") == pytest.approx(1)
    assert total(found, part="part0", kind="still") == total(found, part="part0") > 0
    assert total(found, part="part1", kind="still") < 0.1 * total(found, part="part1")
    assert total(found, part="part2") == 0


def test_a_flat_clip_has_none(of, still):
    assert not any(of(still(np.full((40, 40), 9))).values())
