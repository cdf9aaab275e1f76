"""Video files: whole or absent, their pictures and colours those that were given."""

from __future__ import annotations

import doctest
import json
import subprocess
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from videoproc import storage
from videoproc.media import encode, write_video

CORNERS = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (0, 255, 255), (255, 0, 255)]
"""Red, green, blue, yellow, cyan, magenta: the colours that a wrong matrix moves most."""


def picture(height: int = 64, width: int = 96) -> np.ndarray:
    """The six corners of the colour cube, in blocks."""
    blocks = np.array(CORNERS, np.uint8).reshape(2, 3, 3)
    return blocks.repeat(height // 2, axis=0).repeat(width // 3, axis=1)


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def stream_of(path: Path) -> dict[str, Any]:
    """What ffprobe says of the video stream."""
    command = ["ffprobe", "-v", "error", "-of", "json", "-show_streams", str(path)]
    told = subprocess.run(command, capture_output=True, check=True).stdout
    return json.loads(told)["streams"][0]


@pytest.mark.parametrize(("height", "width"), [(33, 51), (32, 51), (33, 50), (1, 1)])
def test_odd_sides_gain_a_row_or_column_and_lose_none(tmp_path, height, width):
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (height, width), np.uint8)
    write_video(tmp_path / "v.mkv", [frame] * 2, fps=25, codec="ffv1", crf=None)
    shown = decoded(tmp_path / "v.mkv")[1]
    assert shown.shape == (height + height % 2, width + width % 2, 3)
    own = shown[:height, :width].astype(int) - frame[:, :, None]
    assert np.abs(own).max() <= 2, "of a lossless codec: 8 bits of RGB in limited range and back"
    np.testing.assert_array_equal(shown[-1], shown[height - 1], "the last row once more")
    np.testing.assert_array_equal(shown[:, -1], shown[:, width - 1], "the last column once more")


def test_a_format_that_keeps_each_pixels_colour_keeps_odd_sides(tmp_path):
    write_video(tmp_path / "v.mp4", [np.zeros((33, 51, 3), np.uint8)], fps=25, pix_fmt="yuv444p")
    assert decoded(tmp_path / "v.mp4")[0].shape == (33, 51, 3)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("v.mp4", {}),
        ("v.webm", {"codec": "libvpx-vp9"}),
        ("v.mpg", {"codec": "mpeg2video", "crf": None}),
        ("without_tags.avi", {"codec": "mpeg4", "crf": None}),
        ("full_range.avi", {"codec": "mjpeg", "crf": None, "pix_fmt": "yuvj420p"}),
        ("ten_bits.mp4", {"pix_fmt": "yuv420p10le"}),
        ("hd.mp4", {}),
    ],
)
def test_saturated_colours_come_back(tmp_path, name, settings):
    given = picture(720, 1281) if name == "hd.mp4" else picture()
    if "crf" not in settings:
        settings = settings | {"crf": 5}
    write_video(tmp_path / name, [given] * 3, fps=25, **settings)
    shown = decoded(tmp_path / name)[2][: given.shape[0], : given.shape[1]]
    height, width = given.shape[0] // 2, given.shape[1] // 3
    for i, colour in enumerate(CORNERS):
        row, column = divmod(i, 3)
        inner = shown[row * height : (row + 1) * height, column * width : (column + 1) * width]
        inner = inner[8:-8, 8:-8].reshape(-1, 3)  # chroma of 2 x 2 pixels blurs the edges
        assert np.abs(inner.mean(axis=0) - colour).max() < 5


def test_the_tags_name_the_matrix_that_was_used(tmp_path):
    write_video(tmp_path / "v.mp4", [picture()] * 2, fps=25)
    told = stream_of(tmp_path / "v.mp4")
    assert (told["color_space"], told["color_range"]) == ("bt470bg", "tv"), "BT.601, limited"


def test_ten_bits_are_stored_where_they_are_asked_for(tmp_path):
    write_video(tmp_path / "v.mp4", [picture()] * 2, fps=25, pix_fmt="yuv420p10le")
    assert stream_of(tmp_path / "v.mp4")["pix_fmt"] == "yuv420p10le"


def test_grey_frames_become_grey_pictures(tmp_path):
    ramp = np.linspace(0, 255, 64).astype(np.uint8) * np.ones((48, 1), np.uint8)
    write_video(tmp_path / "v.mp4", [ramp] * 2, fps=25, crf=5)
    error = decoded(tmp_path / "v.mp4")[0].astype(int) - ramp[:, :, None]
    assert np.abs(error).mean() < 2


def test_frames_are_taken_one_at_a_time_and_let_go(tmp_path):
    def watched() -> Iterator[np.ndarray]:
        for _ in range(500):
            frame = picture()
            given.append(weakref.ref(frame))
            yield frame
            held.append(sum(one() is not None for one in given))

    given: list[weakref.ref[np.ndarray]] = []
    held: list[int] = []
    write_video(tmp_path / "v.mp4", watched(), fps=30)
    assert len(decoded(tmp_path / "v.mp4")) == 500
    assert max(held) <= 3


def test_the_index_comes_first(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(5), fps=25)
    data = (tmp_path / "v.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_the_same_frames_give_the_same_bytes(tmp_path, moving_picture):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, moving_picture(20), fps=25)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize(
    "name", ["a b.mp4", "-y.mp4", "a:b.mp4", "100%d.mp4", "'\"?#*.mp4", "z\n.mp4", "動画.mp4"]
)
def test_any_name_will_do(tmp_path, name):
    write_video(tmp_path / name, [picture()], fps=25)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [name]


def interrupted() -> Iterator[np.ndarray]:
    yield from [picture()] * 40
    raise KeyboardInterrupt


def test_what_is_interrupted_leaves_no_file(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "v.mp4", interrupted(), fps=25)
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_what_is_interrupted_leaves_the_file_that_was_there(tmp_path):
    write_video(tmp_path / "v.mp4", [picture()], fps=25)
    before = (tmp_path / "v.mp4").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_video(tmp_path / "v.mp4", interrupted(), fps=25)
    assert (tmp_path / "v.mp4").read_bytes() == before
    write_video(tmp_path / "v.mp4", [picture()] * 9, fps=25)
    assert len(decoded(tmp_path / "v.mp4")) == 9, "a whole one takes its place"


def test_half_a_file_is_never_seen_by_who_lists_the_folder(tmp_path):
    def watched() -> Iterator[np.ndarray]:
        for _ in range(3):
            yield picture()
            seen.extend(p.name for p in tmp_path.iterdir() if p.is_file())

    seen: list[str] = []
    write_video(tmp_path / "v.mp4", watched(), fps=25)
    assert seen, "there was a file while it was written"
    assert all(name.startswith(".") for name in seen), "hidden: no layout takes it for a video"


def test_a_video_goes_into_an_object_store(bucket):
    place = storage.at(f"{bucket}/folder/v.mp4")
    write_video(place, [picture()] * 4, fps=25)
    with av.open(place.open("rb")) as container:
        assert len(list(container.decode(video=0))) == 4
    with pytest.raises(KeyboardInterrupt):
        write_video(f"{bucket}/other.mp4", interrupted(), fps=25)
    assert not storage.at(f"{bucket}/other.mp4").exists()


GOOD = np.zeros((32, 48, 3), np.uint8)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        ([], r"no frames to write to '.*v.mp4'"),
        ([GOOD, GOOD[:30]], r"frame 1 is \(30, 48, 3\), frame 0 was \(32, 48, 3\)"),
        ([GOOD, GOOD, GOOD[:, :, 0]], r"frame 2 is \(32, 48\), frame 0 was \(32, 48, 3\)"),
        ([GOOD / 255], r"frame 0 is float64 \(32, 48, 3\): give uint8"),
        ([GOOD.transpose(2, 0, 1)], r"frame 0 is uint8 \(3, 32, 48\): give uint8"),
        ([GOOD[:0]], r"frame 0 is \(0, 48, 3\): it has no pixels"),
    ],
)
def test_a_frame_that_does_not_fit_is_named_and_no_file_appears(tmp_path, frames, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / "v.mp4", iter(frames), fps=25)
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("v.doc", {}, "'.doc' is the suffix of no video container"),
        ("video", {}, "'' is the suffix of no video container"),
        ("v.webm", {}, "codec 'libx264' does not go into '.webm'"),
        ("v.mp4", {"codec": "h267"}, "codec 'h267' does not go into '.mp4'"),
        ("v.mp4", {"codec": "aac"}, "codec 'aac' is not for video"),
        ("v.mp4", {"pix_fmt": "yuv"}, "pix_fmt 'yuv' is not known"),
        ("v.mp4", {"pix_fmt": "rgb24"}, "libx264 in rgb24 of 48x32 pixels does not go into '.mp4'"),
        ("v.mp4", {"fps": 0}, "fps is 0: give 0.001 or more"),
        ("v.mp4", {"fps": 1e-9}, "fps is 1e-09"),
        ("v.mp4", {"fps": float("nan")}, "fps is nan"),
        ("v.mp4", {"pts": [0, 1]}, "frame 2 has no time: pts has 2"),
        ("v.mp4", {"pts": [0, 2, 2]}, "frame 2 has pts 2, the one before 2"),
    ],
)
def test_an_argument_that_does_not_fit_is_named(tmp_path, name, settings, message):
    with pytest.raises(ValueError, match=message):
        write_video(tmp_path / name, [GOOD] * 3, **{"fps": 25} | settings)
    assert [path for path in tmp_path.iterdir() if path.is_file()] == []


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder '.*gone' to write 'v.mp4' into"):
        write_video(tmp_path / "gone" / "v.mp4", [GOOD], fps=25)


def test_the_example_in_the_docstring_holds():
    ran = doctest.testmod(encode)
    assert ran.attempted
    assert not ran.failed


def test_one_picture_in_place_of_many_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"frames is one picture, of shape \(48, 64, 3\)"):
        write_video(tmp_path / "v.mp4", np.zeros((48, 64, 3), np.uint8), fps=25)
