"""What a file's beginning says of its length."""

from __future__ import annotations

import pytest

from videoproc.media import probe, write_video
from videoproc.media.container import HEAD_BYTES, promised_bytes

GIF = {"codec": "gif", "pix_fmt": "rgb8", "crf": None}


@pytest.mark.parametrize("name", ["v.mkv", "v.webm", "v.avi"])
def test_a_whole_file_promises_the_bytes_that_it_has(tmp_path, moving_picture, name):
    path = tmp_path / name
    codec = {"codec": "libvpx"} if name == "v.webm" else {}
    write_video(path, moving_picture(20), fps=25, **codec)
    promised = promised_bytes(path.read_bytes()[:HEAD_BYTES])
    assert 0 <= path.stat().st_size - promised <= 1  # AVI pads to an even length


@pytest.mark.parametrize("name", ["v.mkv", "v.webm", "v.avi", "v.mp4"])
def test_a_file_that_is_cut_is_flagged(tmp_path, moving_picture, name):
    codec = {"codec": "libvpx"} if name == "v.webm" else {}
    write_video(tmp_path / name, moving_picture(60), fps=25, gop_frames=6, **codec)
    whole = (tmp_path / name).read_bytes()
    assert probe(tmp_path / name).flags == ()
    (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
    header = probe(tmp_path / name)
    assert header.flags == ("truncated",)
    assert 20 < header.num_frames < 60


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"RIFF",
        b"RIFF\x00\x00\x00\x00AVI ",  # written as a stream
        b"\x1a\x45\xdf\xa3",
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\xff",  # a live stream's segment: length unknown
        b"\x1a\x45\xdf\xa3\x80\x18\x53\x80\x67\x01\xff",  # cut within the length
        b"\x00\x00\x00\x18ftypmp42",
    ],
)
def test_a_beginning_that_says_nothing_promises_nothing(head):
    assert promised_bytes(head) is None


def test_the_length_of_a_segment_is_coded_in_one_to_eight_bytes():
    header = b"\x1a\x45\xdf\xa3\x82\x00\x00\x18\x53\x80\x67"
    assert promised_bytes(header + b"\x85") == len(header) + 1 + 5
    assert promised_bytes(header + b"\x40\x05") == len(header) + 2 + 5
    assert promised_bytes(header + b"\x01" + bytes(6) + b"\x05") == len(header) + 8 + 5


@pytest.mark.parametrize(("name", "settings"), [("v.ts", {}), ("v.gif", GIF)])
def test_what_tells_no_length_may_still_show_its_end(tmp_path, moving_picture, name, settings):
    write_video(tmp_path / name, moving_picture(30), fps=25, **settings)
    whole = (tmp_path / name).read_bytes()
    assert probe(tmp_path / name).flags == ()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2 | 1])
    assert probe(tmp_path / name).flags == ("truncated",)
