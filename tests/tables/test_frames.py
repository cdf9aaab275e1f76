"""Frames come back from the table as they went in: raw exactly, JPEG within a stated PSNR."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from videoproc.tables import FrameFormat, decode_frames
from videoproc.tables.frames import encode_frames
from videoproc.types import UserError

RAW = FrameFormat(encoding="raw")
JPEG = FrameFormat(encoding="jpeg")


def picture(*, num_frames=3, height=48, width=64, channels=3):
    """Smooth waves of every colour that move, as most of a real frame is smooth."""
    t, y, x, c = np.ogrid[:num_frames, :height, :width, :channels]
    return np.uint8(127.5 + 127 * np.sin((x + 3 * t) / (7 + c) + y / 11 + 2 * c))


def row_of(frames_thwc, frame_format):
    """The row of the clips table that these frames come to."""
    return {
        "clip_id": "c1",
        "encoding": frame_format.encoding,
        "dtype": "uint8",
        "shape": list(frames_thwc.shape),
        "frames": [bytes(content) for content in encode_frames(frames_thwc, frame_format)],
    }


def psnr(found, expected):
    error = np.mean((found.astype(float) - expected) ** 2)
    return 10 * np.log10(255**2 / error)


SHAPES = [{}, {"channels": 1}, {"height": 33, "width": 51}, {"height": 1, "width": 1}]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_raw_frames_come_back_exactly(shape):
    frames = picture(**shape)
    assert np.array_equal(decode_frames(row_of(frames, RAW)), frames)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("quality", "least"), [(95, 40), (90, 38), (75, 33)])
def test_jpeg_frames_come_back_within_a_psnr(shape, quality, least):
    frames = picture(**shape)
    found = decode_frames(row_of(frames, FrameFormat(encoding="jpeg", quality=quality)))
    assert (found.shape, found.dtype) == (frames.shape, np.uint8)
    assert psnr(found, frames) >= least


def test_frames_in_any_memory_order_are_encoded_alike():
    frames = picture()
    turned = np.asfortranarray(frames)
    for frame_format in (RAW, JPEG):
        assert row_of(turned, frame_format) == row_of(frames, frame_format)


def test_a_jpeg_frame_is_a_file_that_pillow_reads_alike():
    row = row_of(picture(), JPEG)
    found = [np.asarray(Image.open(io.BytesIO(content))) for content in row["frames"]]
    assert np.abs(np.stack(found).astype(int) - decode_frames(row)).max() <= 2  # of rounding


def test_a_lower_quality_takes_fewer_bytes_and_all_take_fewer_than_raw():
    formats = [FrameFormat(encoding="jpeg", quality=q) for q in (50, 75, 90, 95)] + [RAW]
    sizes = [sum(map(len, row_of(picture(), f)["frames"])) for f in formats]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("kept", [0, 1, 2, 200, -300, -2])
def test_a_jpeg_frame_that_is_cut_off_names_its_clip_and_frame(kept):
    row = row_of(picture(), JPEG)
    row["frames"][1] = row["frames"][1][:kept]
    with pytest.raises(UserError, match=r"clip c1 .*frame 1 of 3: .*pipelines.extract` again"):
        decode_frames(row)


@pytest.mark.parametrize("frame_format", [RAW, JPEG], ids=["raw", "jpeg"])
def test_a_frame_of_another_size_names_its_clip_and_frame(frame_format):
    row = row_of(picture(), frame_format)
    for height in (47, 49):
        other = picture(height=height)
        row["frames"][2] = row_of(other, frame_format)["frames"][0]
        with pytest.raises(UserError, match=r"clip c1 .*frame 2 of 3"):
            decode_frames(row)


def test_a_missing_frame_names_its_clip():
    row = row_of(picture(), RAW)
    del row["frames"][0]
    with pytest.raises(UserError, match=r"clip c1 .*2 frames are there, not 3"):
        decode_frames(row)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"encoding": "png"}, "frames.encoding is 'png': use raw or jpeg"),
        ({"quality": 0}, "frames.quality is 0: use 1"),
        ({"quality": 101}, r"frames.quality is 101: use 1 \(smallest\) to 100"),
    ],
    ids=str,
)
def test_a_wrong_setting_is_named_with_its_value_and_what_to_use(wrong, said):
    with pytest.raises(ValueError, match=said):
        FrameFormat(**wrong)
