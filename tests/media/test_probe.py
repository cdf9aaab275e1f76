"""What the packets tell of a file before it is decoded."""

from __future__ import annotations

import itertools
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from videoproc.media import MediaError, probe, write_video
from videoproc.media.limits import Limits
from videoproc.media.source import Packets, open_source, read_packets


def test_a_header_says_what_was_written(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(45), fps=15)
    header = probe(tmp_path / "v.mp4")
    assert (header.codec, header.width, header.height) == ("h264", 64, 48)
    assert (header.num_frames, header.fps, header.duration_s) == (45, 15.0, 3.0)


def test_width_and_height_are_as_displayed(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(3), fps=25, rotation_deg=90)
    header = probe(tmp_path / "v.mp4")
    assert (header.width, header.height) == (48, 64)


def test_a_variable_rate_has_its_average(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(4), fps=10, bframes=2, pts=[0, 1, 2, 19])
    header = probe(tmp_path / "v.mp4")
    assert header.duration_s == pytest.approx(2.0)
    assert header.fps == pytest.approx(2.0)


def packets_of(path: Path) -> Packets:
    with open_source(path, limits=Limits()) as source:
        return read_packets(source, limits=Limits())


def test_the_index_lists_frames_in_the_order_of_presentation(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(24), fps=25, gop_frames=8, bframes=3)
    timeline = packets_of(tmp_path / "v.mp4").table.timeline()
    assert (np.diff(timeline.pts) > 0).all()
    assert np.flatnonzero(timeline.is_key).tolist() == [0, 8, 16]


@pytest.mark.parametrize("name", ["v.h264", "v.avi"])
def test_a_file_that_stores_no_times_is_decoded_to_count_its_frames(tmp_path, moving_picture, name):
    write_video(tmp_path / name, moving_picture(24), fps=25, gop_frames=8, bframes=3)
    assert packets_of(tmp_path / name).table is None
    assert probe(tmp_path / name).num_frames == 24


def test_vp8_packets_that_show_nothing_are_not_counted(tmp_path, moving_picture):
    path = tmp_path / "v.webm"
    write_video(path, moving_picture(30), fps=25, codec="libvpx")
    with av.open(str(path)) as container:
        tenth = bytes(next(itertools.islice(container.demux(video=0), 10, None)))
    hidden = bytes([tenth[0] & ~0x10]) + tenth[1:]  # RFC 6386: the bit that shows a frame
    path.write_bytes(path.read_bytes().replace(tenth, hidden))
    with av.open(str(path)) as container:
        assert len(list(container.decode(video=0))) == 29
    assert packets_of(path).table is not None
    assert probe(path).num_frames == 29


def test_a_file_that_ends_too_early_is_flagged_and_counts_what_is_there(tmp_path, moving_picture):
    write_video(tmp_path / "whole.mp4", moving_picture(60), fps=25)
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "half.mp4").write_bytes(data[: len(data) // 2])
    header = probe(tmp_path / "half.mp4")
    assert header.flags == ("truncated",)
    assert 10 < header.num_frames < 60


@pytest.mark.parametrize(
    ("content", "error_class"),
    [(b"", "InvalidDataError"), (b"not a video, just text\n" * 9, "InvalidDataError")],
)
def test_a_file_that_is_no_video_is_an_error_in_ffmpegs_words(tmp_path, content, error_class):
    (tmp_path / "v.mp4").write_bytes(content)
    with pytest.raises(MediaError, match="Invalid data found") as caught:
        probe(tmp_path / "v.mp4")
    assert caught.value.error_class == error_class


def test_a_file_that_is_absent_is_an_error(tmp_path):
    with pytest.raises(MediaError, match="No such file"):
        probe(tmp_path / "absent.mp4")


def test_sound_alone_is_no_video(tmp_path):
    with wave.open(str(tmp_path / "v.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", "not compressed"))
        sound.writeframes(bytes(16000))
    with pytest.raises(MediaError, match="no video stream"):
        probe(tmp_path / "v.wav")


def test_a_playlist_reaches_no_network(tmp_path):
    playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"
    (tmp_path / "v.mp4").write_text(playlist)
    with pytest.raises(MediaError):
        probe(tmp_path / "v.mp4")


@pytest.mark.parametrize(
    "name", ["-dash.mp4", "a:b.mp4", "http:x.mp4", "full width Ａ'\" %03d #?.mp4", "n\nl.mp4"]
)
def test_a_file_may_have_any_name(tmp_path, moving_picture, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write_video(name, moving_picture(3), fps=25)
    assert probe(name).num_frames == 3


@pytest.mark.data
def test_a_cover_picture_is_no_video(shared_data):
    with pytest.raises(MediaError, match="no video stream"):
        probe(shared_data / "clips" / "moviepy" / "with-attached-pic.mp3")


@pytest.mark.data
def test_packets_to_be_discarded_are_not_counted(shared_data):
    header = probe(shared_data / "clips" / "torchcodec" / "discard_first_keyframe.mp4")
    assert header.num_frames == 25
