"""Every feature is finite, of fixed length and deterministic; each sees what it is for."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from videoproc.features import FEATURES, compute_features, select_features
from videoproc.features.colour import BINS
from videoproc.features.motion import COURSE, GRID
from videoproc.media import write_video
from videoproc.types import UserError

RNG = np.random.default_rng(0)
CHEQUERED = (np.indices((24, 32, 3))[:2].sum(axis=0) % 2 * 255).astype(np.uint8)
CLIPS = {
    "noise": RNG.integers(0, 256, (8, 24, 32, 3), np.uint8),
    "one frame": RNG.integers(0, 256, (1, 24, 32, 3), np.uint8),
    "two frames": RNG.integers(0, 256, (2, 24, 32, 3), np.uint8),
    "long": RNG.integers(0, 256, (100, 8, 8, 3), np.uint8),
    "black": np.zeros((4, 24, 32, 3), np.uint8),
    "white": np.full((4, 24, 32, 3), 255, np.uint8),
    "one pixel": RNG.integers(0, 256, (4, 1, 1, 3), np.uint8),
    "one row": RNG.integers(0, 256, (3, 1, 300, 3), np.uint8),
    "large": RNG.integers(0, 256, (2, 200, 300, 3), np.uint8),
    "turning black": np.stack([CHEQUERED, np.zeros_like(CHEQUERED)]),
}
TIMES = {
    "25 a second": lambda n: np.arange(n) / 25,
    "backwards": lambda n: np.arange(n)[::-1] / 25,
    "bursts of 2": lambda n: np.arange(n) // 2 + np.arange(n) % 2 / 25,
    "no time": lambda n: np.full(n, 3.0),
}


def compute(name, frames, times="25 a second"):
    return FEATURES[name].compute(frames, TIMES[times](len(frames)))


@pytest.mark.parametrize("name", FEATURES)
class TestEveryFeature:
    @pytest.mark.parametrize("clip", CLIPS)
    def test_is_finite_floats_of_its_length(self, name, clip):
        with np.errstate(all="raise"):  # finite by construction, not by mending
            vector = compute(name, CLIPS[clip])
        assert (vector.shape, vector.dtype) == ((FEATURES[name].length,), np.float32)
        assert np.isfinite(vector).all()

    @pytest.mark.parametrize("times", TIMES)
    def test_takes_frames_at_any_times(self, name, times):
        with np.errstate(all="raise"):
            vector = compute(name, CLIPS["noise"], times)
        assert vector.shape == (FEATURES[name].length,)
        assert np.isfinite(vector).all()

    def test_is_deterministic_and_leaves_the_frames_alone(self, name):
        frames = CLIPS["noise"].copy()
        frames.flags.writeable = False
        first, again = (compute(name, frames) for _ in range(2))
        assert (first == again).all()

    def test_does_not_depend_on_how_frames_lie_in_memory(self, name):
        frames = CLIPS["noise"]
        other = np.ascontiguousarray(frames.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0)
        assert compute(name, frames) == pytest.approx(compute(name, other), abs=1e-6)

    def test_sees_that_a_clip_is_not_another(self, name):
        assert (compute(name, CLIPS["noise"]) != compute(name, CLIPS["noise"] // 2)).any()

    def test_names_each_component_once(self, name):
        columns = FEATURES[name].columns
        assert len(set(columns)) == len(columns)

    def test_goes_by_its_own_name(self, name):
        assert FEATURES[name].name == name


def test_every_feature_has_an_id_of_its_own():
    assert len({feature.feature_id for feature in FEATURES.values()}) == len(FEATURES)


def test_the_document_lists_every_feature_with_its_length():
    text = (Path(__file__).parents[2] / "docs" / "features.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\d+) \|", text, re.MULTILINE)
    assert rows == [(name, str(feature.length)) for name, feature in FEATURES.items()]


def test_another_process_computes_the_same():
    code = (
        "import json, sys, numpy as np\n"
        "from videoproc.features import FEATURES\n"
        "frames = np.random.default_rng(5).integers(0, 256, (6, 40, 48, 3), np.uint8)\n"
        "print(json.dumps([f.compute(frames, np.arange(6) / 10).tolist() "
        "for f in reversed(FEATURES.values())]))"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    frames = np.random.default_rng(5).integers(0, 256, (6, 40, 48, 3), np.uint8)
    here = [feature.compute(frames, np.arange(6) / 10).tolist() for feature in FEATURES.values()]
    assert json.loads(there.stdout)[::-1] == here


def test_to_know_the_features_imports_no_library_that_computes_them():
    code = "import sys, videoproc.features; print({'cv2', 'skimage', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_opencv_leaves_decoding_as_it_was(tmp_path):
    # It brings an FFmpeg of its own into the process.
    path = tmp_path / "video.mp4"
    write_video(path, RNG.integers(0, 256, (6, 32, 32, 3), np.uint8), fps=25)
    code = (
        "import sys, hashlib\n"
        "if sys.argv[2:]: import cv2; cv2.VideoCapture(sys.argv[1]).read()\n"
        "import av\n"
        "with av.open(sys.argv[1]) as file:\n"
        "    frames = [frame.to_ndarray(format='rgb24') for frame in file.decode(video=0)]\n"
        "print(len(frames), hashlib.sha256(b''.join(f.tobytes() for f in frames)).hexdigest())"
    )
    alone, beside = (
        subprocess.run(
            [sys.executable, "-c", code, str(path), *opencv],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for opencv in ([], ["cv2"])
    )
    assert alone == beside
    assert alone.startswith("6 ")


def colour_of(frames):
    return compute("colour", frames).reshape(3, 3 + BINS)


def motion_of(frames):
    vector = compute("motion", frames)
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
    assert not compute("motion", still).any()


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
    return {
        "frames": frames.tobytes(),
        "dtype": "uint8",
        "shape": frames.shape,
        "pts_s": [0.0, 0.04, 0.08, 0.12, 1.0, 1.04, 1.08, 1.12],
        "error_class": "",
    }


def test_a_clip_row_gets_the_vectors_that_were_asked_for(row):
    (made,) = compute_features(features=select_features(["flow", "colour"]))(row)
    assert made["features"] == ["flow", "colour"]
    assert made["feature_ids"] == [FEATURES[n].feature_id for n in ("flow", "colour")]
    pts_s = np.array(row["pts_s"])
    for name, vector in zip(made["features"], made["vectors"], strict=True):
        assert vector == FEATURES[name].compute(CLIPS["noise"], pts_s).tolist()


def test_a_failed_row_gets_none(row):
    step = compute_features(features=select_features(["colour"]))
    (made,) = step(row | {"error_class": "Crash", "frames": b"", "shape": [], "pts_s": []})
    assert (made["features"], made["feature_ids"], made["vectors"]) == ([], [], [])
