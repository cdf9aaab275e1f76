"""Every feature is finite, of fixed length and deterministic; each sees what it is for."""

from __future__ import annotations

import numpy as np
import pytest

from videoproc.features import FEATURES, compute_features, select_features
from videoproc.features.colour import BINS
from videoproc.features.motion import COURSE, GRID
from videoproc.types import UserError

RNG = np.random.default_rng(0)
CLIPS = {
    "noise": RNG.integers(0, 256, (8, 24, 32, 3), np.uint8),
    "one frame": RNG.integers(0, 256, (1, 24, 32, 3), np.uint8),
    "two frames": RNG.integers(0, 256, (2, 24, 32, 3), np.uint8),
    "long": RNG.integers(0, 256, (100, 8, 8, 3), np.uint8),
    "black": np.zeros((4, 24, 32, 3), np.uint8),
    "white": np.full((4, 24, 32, 3), 255, np.uint8),
    "one pixel": RNG.integers(0, 256, (4, 1, 1, 3), np.uint8),
}


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("name", FEATURES)
class TestEveryFeature:
    def test_is_finite_floats_of_its_length(self, name, clip):
        vector = FEATURES[name].compute(CLIPS[clip])
        assert (vector.shape, vector.dtype) == ((FEATURES[name].length,), np.float32)
        assert np.isfinite(vector).all()

    def test_is_deterministic_and_leaves_the_frames_alone(self, name, clip):
        frames = CLIPS[clip].copy()
        frames.flags.writeable = False
        first, again = (FEATURES[name].compute(frames) for _ in range(2))
        assert (first == again).all()


@pytest.mark.parametrize("name", FEATURES)
def test_the_name_in_the_table_is_the_features_own(name):
    assert FEATURES[name].name == name


def test_every_feature_has_an_id_of_its_own():
    assert len({feature.feature_id for feature in FEATURES.values()}) == len(FEATURES)


def colour_of(frames):
    return FEATURES["colour"].compute(frames).reshape(3, 3 + BINS)


def motion_of(frames):
    vector = FEATURES["motion"].compute(frames)
    cells, rest = vector[: GRID * GRID].reshape(GRID, GRID), vector[GRID * GRID :]
    return cells, rest[:3], rest[3:]


def test_a_red_clip_is_red():
    red = np.zeros((4, 16, 16, 3), np.uint8)
    red[..., 0] = 255
    moments, histograms = np.split(colour_of(red), [3], axis=1)
    assert moments.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert histograms.argmax(axis=1).tolist() == [BINS - 1, 0, 0]


def test_colour_moments_are_those_of_the_pixels():
    values = CLIPS["noise"].reshape(-1, 3) / 255
    third = ((values - values.mean(0)) ** 3).mean(0)
    expected = np.stack([values.mean(0), values.std(0), np.cbrt(third)], axis=1)
    assert colour_of(CLIPS["noise"])[:, :3] == pytest.approx(expected, abs=1e-6)


def test_colour_histograms_are_numpys():
    for channel, found in enumerate(colour_of(CLIPS["noise"])[:, 3:]):
        counts, _ = np.histogram(CLIPS["noise"][..., channel], bins=BINS, range=(0, 256))
        assert found == pytest.approx(counts / counts.sum(), abs=1e-6)


def test_colour_is_that_of_the_whole_clip_in_any_order():
    assert (colour_of(CLIPS["noise"]) == colour_of(CLIPS["noise"][::-1])).all()


def test_a_still_clip_has_no_motion():
    still = np.repeat(CLIPS["noise"][:1], 6, axis=0)
    assert not FEATURES["motion"].compute(still).any()


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, GRID - 1), (2, 1), (GRID - 1, GRID - 1)])
def test_motion_in_one_place_shows_in_its_cell(row, column):
    frames = np.zeros((6, 32, 32, 3), np.uint8)
    side = 32 // GRID
    frames[1::2, row * side : (row + 1) * side, column * side : (column + 1) * side] = 255
    cells, _, _ = motion_of(frames)
    expected = np.zeros((GRID, GRID))
    expected[row, column] = 1.0  # from black to white and back, all the time
    assert (cells == expected).all()


def test_a_clip_that_flashes_once_has_its_peak_there():
    frames = np.zeros((COURSE + 1, 8, 8, 3), np.uint8)
    frames[3:] = 255
    _, (mean, _, peak), course = motion_of(frames)
    assert (peak, mean) == pytest.approx((1.0, 1 / COURSE))
    assert course.tolist() == [0, 0, 1, 0, 0, 0, 0, 0]


def test_more_change_is_more_motion():
    weak = motion_of(CLIPS["noise"] // 4)[1][0]
    assert motion_of(CLIPS["noise"])[1][0] > 3 * weak > 0


def test_an_unknown_feature_is_named_beside_those_there_are():
    with pytest.raises(UserError, match="no feature 'depth'; there are colour, motion"):
        select_features(["colour", "depth"])


@pytest.fixture
def row():
    frames = CLIPS["noise"]
    return {"frames": frames.tobytes(), "dtype": "uint8", "shape": frames.shape, "error_class": ""}


def test_a_clip_row_gets_the_vectors_that_were_asked_for(row):
    (made,) = compute_features(features=select_features(["motion", "colour"]))(row)
    assert made["features"] == ["motion", "colour"]
    assert made["feature_ids"] == [FEATURES[n].feature_id for n in ("motion", "colour")]
    for name, vector in zip(made["features"], made["vectors"], strict=True):
        assert np.float32(vector).tolist() == FEATURES[name].compute(CLIPS["noise"]).tolist()


def test_a_failed_row_gets_none(row):
    step = compute_features(features=select_features(["colour"]))
    (made,) = step(row | {"error_class": "Crash", "frames": b"", "shape": []})
    assert (made["features"], made["feature_ids"], made["vectors"]) == ([], [], [])
