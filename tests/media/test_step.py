"""A row a video in, a row a clip out, and one row that says why where there are none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from videoproc.media import Limits, Sampling, Size, decode_clips, read_clips, write_video
from videoproc.schema import frames_of

SAMPLING = Sampling(num_frames=4)
SIZE = Size(height=24, width=32)
SPANS = [
    {"clip_index": 0, "start_s": 0.0, "end_s": 1.0},
    {"clip_index": 1, "start_s": 1.0, "end_s": 2.0},
]


@pytest.fixture
def decode():
    return decode_clips(sampling=SAMPLING, size=SIZE, limits=Limits(timeout_s=30))


def row_of(path):
    return {"video_id": "ab", "uri": str(path), "label": "walk", "spans": SPANS}


def test_each_span_becomes_a_row_with_its_frames(tmp_path, moving_picture, decode):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(50), fps=25)
    rows = list(decode(row_of(path)))
    clips = read_clips(path, sampling=SAMPLING, size=SIZE, spans=[(0, 1), (1, 2)])
    for row, span, clip in zip(rows, SPANS, clips, strict=True):
        assert span.items() <= row.items()
        assert (row["video_id"], row["label"], row["error_class"]) == ("ab", "walk", "")
        assert (frames_of(row) == clip.frames_thwc).all()
        assert row["frame_indices"] == clip.frame_indices.tolist()
        assert row["pts_s"] == clip.pts_s.tolist()
        assert "spans" not in row


def test_a_long_video_takes_no_more_memory_than_a_short_one(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(50), fps=25)
    large = Size(height=1080, width=1920)  # 50 MB a clip of 8 frames
    spans = [{"clip_index": i, "start_s": 0.04 * i, "end_s": 0.04 * i + 0.4} for i in range(40)]
    decode = decode_clips(
        sampling=Sampling(num_frames=8),
        size=large,
        limits=Limits(timeout_s=60, max_memory_bytes=1 << 30),
    )
    seen = [
        (row["clip_index"], row["error_class"]) for row in decode(row_of(path) | {"spans": spans})
    ]
    assert seen == [(i, "") for i in range(40)]


def test_a_name_that_is_no_text_is_read_like_others(tmp_path, moving_picture, decode):
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.mp4"))
    write_video(tmp_path / "v.mp4", moving_picture(50), fps=25)
    (tmp_path / "v.mp4").rename(path)
    assert [row["error_class"] for row in decode(row_of(path))] == ["", ""]


def test_an_error_that_nobody_foresaw_costs_its_file_only(tmp_path, decode):
    spans = [{"clip_index": 0, "start_s": "soon", "end_s": 1.0}]
    path = tmp_path / "v.mp4"
    write_video(path, (np.zeros((16, 16, 3), np.uint8) for _ in range(9)), fps=9)
    (row,) = decode(row_of(path) | {"spans": spans})
    assert (row["clip_index"], row["error_class"]) == (-1, "ValueError")
    assert "Traceback" in row["message"]


def test_a_bad_file_becomes_one_row_that_says_why(tmp_path, decode):
    (tmp_path / "v.mp4").write_text("no video")
    (row,) = decode(row_of(tmp_path / "v.mp4"))
    assert (row["stage"], row["error_class"]) == ("decode", "InvalidDataError")
    assert "Invalid data found" in row["message"]
    assert (row["frames"], row["frame_indices"]) == (b"", [])
    assert (row["video_id"], row["label"]) == ("ab", "walk")


def test_good_and_bad_rows_have_the_same_keys(tmp_path, moving_picture, decode):
    write_video(tmp_path / "good.mp4", moving_picture(50), fps=25)
    (tmp_path / "bad.mp4").write_text("no video")
    good = next(decode(row_of(tmp_path / "good.mp4")))
    bad = next(decode(row_of(tmp_path / "bad.mp4")))
    assert good.keys() == bad.keys()
    assert {key: type(good[key]) for key in good} == {key: type(bad[key]) for key in bad}


def test_a_file_that_was_replaced_since_the_index_is_not_read(tmp_path, moving_picture, decode):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(50), fps=25)
    size_bytes = path.stat().st_size
    assert [row["error_class"] for row in decode(row_of(path) | {"size_bytes": size_bytes})] == [
        "",
        "",
    ]
    write_video(path, moving_picture(51), fps=25)
    (row,) = decode(row_of(path) | {"size_bytes": size_bytes})
    assert row["error_class"] == "Changed"
    assert f"had {size_bytes} when it was indexed: run index again" in row["message"]
