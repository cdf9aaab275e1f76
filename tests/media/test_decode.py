"""Clips are the frames of a linear decode, to the byte, whatever way they were reached."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from videoproc.media import (
    Accept,
    Cost,
    Limits,
    MediaError,
    Sampling,
    Size,
    probe,
    read_clips,
    write_video,
)
from videoproc.media import decode as decode_module
from videoproc.media import source as source_module
from videoproc.media.source import read_packets

SIZE = Size(height=36, width=40)
SPARSE = Sampling(num_frames=6)
BURSTS = Sampling(num_frames=8, burst_frames=2, clip_s=0.7)
VIDEO_SUFFIXES = {".mp4", ".webm", ".mkv", ".avi", ".mov", ".mpg", ".mp3"}

WAYS_TO_WRITE = {
    "b_frames.mp4": {"bframes": 3},
    "b_frames.mkv": {"bframes": 3},
    "b_frames.avi": {"bframes": 3},
    "b_frames.ts": {"bframes": 3},
    "open_gop.mp4": {"bframes": 3, "options": {"x264-params": "open-gop=1:scenecut=0"}},
    "intra_refresh.mp4": {"options": {"x264-params": "intra-refresh=1"}},
    "no_times.h264": {"bframes": 3},
    "open_gop_hevc.mkv": {
        "codec": "libx265",
        "bframes": 3,
        "options": {"x265-params": "log-level=none:open-gop=1"},
    },
    "mpeg2.mpg": {"codec": "mpeg2video", "bframes": 2, "crf": None},
    "mpeg4.avi": {"codec": "mpeg4", "bframes": 2, "crf": None},
    "motion_jpeg.avi": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "crf": None},
    "vp8.webm": {"codec": "libvpx"},
    "vp9.webm": {"codec": "libvpx-vp9"},
    "variable_rate.mp4": {"bframes": 2, "pts": [i + 3 * (i // 7) for i in range(60)]},
    "late_start.mp4": {"bframes": 2, "pts": range(100, 160)},
    "early_start.mkv": {"bframes": 2, "pts": range(-20, 40)},
    "rotated.mp4": {"rotation_deg": 90},
    "upside_down.mp4": {"rotation_deg": 180},
}


def linear_decode(path: Path) -> Iterator[np.ndarray]:
    """The reference: every frame of the first video stream, nothing of videoproc used."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        # Slices decoded in threads conceal damage differently from run to run.
        stream.thread_type = "NONE"
        for frame in container.decode(stream):
            turns = frame.rotation // 90 % 4
            height, width = (SIZE.height, SIZE.width)[:: -1 if turns % 2 else 1]
            small = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
            yield np.rot90(small.to_ndarray(), turns)


def assert_exact(path: Path, sampling: Sampling) -> None:
    clips = list(read_clips(path, sampling=sampling, size=SIZE))
    reference = list(linear_decode(path))
    for clip in clips:
        expected = np.stack([reference[i] for i in clip.frame_indices])
        np.testing.assert_array_equal(clip.frames_thwc, expected)


@pytest.mark.parametrize("sampling", [SPARSE, BURSTS], ids=["sparse", "bursts"])
@pytest.mark.parametrize("name", WAYS_TO_WRITE)
def test_clips_equal_the_linear_decode(tmp_path, moving_picture, name, sampling):
    write_video(
        tmp_path / name, moving_picture(60), fps=25, **{"gop_frames": 12, **WAYS_TO_WRITE[name]}
    )
    assert_exact(tmp_path / name, sampling)


def test_spans_may_overlap_and_come_in_any_order(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(60), fps=20, gop_frames=12, bframes=2)
    spans = [(2.0, 3.0), (0.0, 1.0), (0.5, 2.5), (0.5, 2.5)]
    reference = list(linear_decode(path))
    clips = list(read_clips(path, sampling=SPARSE, size=SIZE, spans=spans))
    assert [(clip.start_s, clip.end_s) for clip in clips] == spans
    for clip in clips:
        assert clip.start_s <= clip.pts_s[0] <= clip.pts_s[-1] < clip.end_s
        expected = np.stack([reference[i] for i in clip.frame_indices])
        np.testing.assert_array_equal(clip.frames_thwc, expected)


def test_times_count_from_the_first_frame(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(50), fps=25, pts=range(100, 150))
    sampling = Sampling(num_frames=50)
    (clip,) = read_clips(tmp_path / "v.mp4", sampling=sampling, size=SIZE)
    np.testing.assert_allclose(clip.pts_s, np.arange(50) / 25)
    assert (clip.start_s, clip.end_s) == (0.0, 2.0)


def test_a_rotated_picture_stands_upright(tmp_path):
    # Red on the left: turned counter-clockwise by 90 degrees, red lies at the bottom.
    picture = np.zeros((64, 96, 3), dtype=np.uint8)
    picture[:, :48, 0] = 255
    write_video(tmp_path / "v.mp4", [picture] * 3, fps=25, rotation_deg=90)
    (clip,) = read_clips(tmp_path / "v.mp4", sampling=Sampling(num_frames=1), size=SIZE)
    red = clip.frames_thwc[0, :, :, 0].astype(int)
    assert red.shape == (SIZE.height, SIZE.width)
    assert red[-10:].min() > 200
    assert red[:10].max() < 50


def cost_of(path: Path, **settings: object) -> Cost:
    cost = Cost()
    list(read_clips(path, size=SIZE, cost=cost, **settings))
    return cost


def test_a_sparse_read_decodes_only_what_it_needs(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(200), fps=25, gop_frames=10)
    cost = cost_of(path, sampling=Sampling(num_frames=2))  # frames 50 and 150: key frames
    assert (cost.packets_decoded, cost.frames_decoded) == (2, 2)


def test_frames_that_nothing_refers_to_are_not_decoded(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(60), fps=25, gop_frames=60, bframes=2)
    cost = cost_of(path, sampling=Sampling(pick="times", times_s=(2.0,)))
    assert cost.frames_decoded < 45  # of 51; 22 of all 60 are referred to by none


def test_snapping_costs_less(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(100), fps=25, gop_frames=25, bframes=2)
    exact = cost_of(path, sampling=Sampling(pick="rate", rate_fps=2.0))
    snapped = cost_of(path, sampling=Sampling(pick="rate", rate_fps=2.0, snap_s=0.5))
    assert snapped.frames_decoded < exact.frames_decoded / 4


def test_several_samplings_share_one_pass(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(60), fps=20, gop_frames=12, bframes=2)
    samplings = [Sampling(num_frames=60), Sampling(num_frames=5, clip_s=1.0)]
    cost = Cost()
    clips = list(read_clips(path, sampling=samplings, size=SIZE, cost=cost))
    assert cost.frames_decoded == 60
    assert [(clip.sampling, clip.start_s) for clip in clips] == [(1, 0), (1, 1), (0, 0), (1, 2)]
    for number, sampling in enumerate(samplings):
        alone = list(read_clips(path, sampling=sampling, size=SIZE))
        together = [clip for clip in clips if clip.sampling == number]
        for one, other in zip(alone, together, strict=True):
            np.testing.assert_array_equal(one.frames_thwc, other.frames_thwc)


def test_a_long_clip_does_not_keep_the_short_ones_waiting(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(60), fps=20, gop_frames=12)
    cost = Cost()
    clips = read_clips(
        path, sampling=[SPARSE, Sampling(num_frames=5, clip_s=0.5)], size=SIZE, cost=cost
    )
    assert next(clips).sampling == 1
    assert cost.frames_decoded < 30


def test_many_small_packets_are_not_held_in_memory(tmp_path, moving_picture, monkeypatch):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(60, height=16, width=16), fps=25)
    monkeypatch.setattr(source_module, "HELD_BYTES", path.stat().st_size)
    with source_module.open_source(path, limits=Limits()) as source:
        assert read_packets(source, limits=Limits()).held is None


def test_a_file_that_is_not_held_in_memory_is_read_by_seeking(
    tmp_path, moving_picture, monkeypatch
):
    monkeypatch.setattr(source_module, "HELD_BYTES", 1000)
    for name in ("v.mp4", "v.mkv", "v.ts", "v.mpg"):
        codec = {"codec": "mpeg2video", "crf": None} if name == "v.mpg" else {}
        write_video(tmp_path / name, moving_picture(60), fps=25, gop_frames=6, bframes=2, **codec)
        assert_exact(tmp_path / name, SPARSE)


def test_packets_that_decode_to_nothing_are_an_error_with_counts(
    tmp_path, moving_picture, monkeypatch
):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(30), fps=25)

    def promising_one_more(source, *, limits):
        packets = read_packets(source, limits=limits)
        packets.table.pts[-1] += 1
        return packets

    monkeypatch.setattr(decode_module, "read_packets", promising_one_more)
    with pytest.raises(MediaError, match="1 of 1 frames wanted never appeared"):
        list(read_clips(path, sampling=Sampling(num_frames=30), size=SIZE))


def test_a_seek_that_lands_wrong_is_noticed(tmp_path, moving_picture, monkeypatch):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(60), fps=25, gop_frames=12)
    monkeypatch.setattr(source_module, "HELD_BYTES", 1000)
    seek = decode_module._seek

    def seek_too_far(source, table, visit):
        last_key = int(np.flatnonzero(table.is_key)[-1])
        yield from seek(source, table, replace(visit, start=last_key))

    monkeypatch.setattr(decode_module, "_seek", seek_too_far)
    assert_exact(path, SPARSE)


def test_a_frame_that_only_claims_to_be_a_key_frame_is_noticed(
    tmp_path, moving_picture, monkeypatch
):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(60), fps=25, gop_frames=60)

    def all_keys(source, *, limits):
        packets = read_packets(source, limits=limits)
        packets.table.is_key[:] = True
        return packets

    monkeypatch.setattr(decode_module, "read_packets", all_keys)
    assert_exact(path, SPARSE)


def test_frames_keep_their_displayed_size_without_a_size(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(5), fps=25, rotation_deg=90)
    (clip,) = read_clips(tmp_path / "v.mp4", sampling=Sampling(num_frames=2))
    assert clip.frames_thwc.shape == (2, 64, 48, 3)


def test_a_truncated_file_is_refused_or_gives_the_clips_that_are_whole(tmp_path, moving_picture):
    write_video(tmp_path / "whole.mp4", moving_picture(100), fps=25, gop_frames=5)
    data = (tmp_path / "whole.mp4").read_bytes()
    path = tmp_path / "half.mp4"
    path.write_bytes(data[: len(data) * 2 // 3])
    sampling = Sampling(num_frames=4, clip_s=0.5)
    with pytest.raises(MediaError, match="the file's index names 100 frames"):
        list(read_clips(path, sampling=sampling, size=SIZE))
    clips = read_clips(path, sampling=sampling, size=SIZE, accept=Accept(truncated=True))
    whole = list(read_clips(tmp_path / "whole.mp4", sampling=sampling, size=SIZE))
    seen = 0
    for clip, reference in zip(clips, whole, strict=False):
        if clip.end_s != reference.end_s:
            break
        np.testing.assert_array_equal(clip.frames_thwc, reference.frames_thwc)
        seen += 1
    assert 3 < seen < 8


def test_material_is_refused_by_name_where_it_is_not_accepted(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    write_video(
        path, moving_picture(5), fps=25, options={"x264-params": "transfer=smpte2084:tff=1"}
    )
    assert probe(path).flags == ("hdr", "interlaced")
    for name in ("hdr", "interlaced"):
        with pytest.raises(MediaError, match=f"the video is {name}, and accept.{name} is false"):
            list(read_clips(path, sampling=SPARSE, size=SIZE, accept=Accept(**{name: False})))
    assert list(read_clips(path, sampling=SPARSE, size=SIZE))


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_pixels=3000), "a frame has 3072 pixels, limits.max_pixels is 3000"),
        (Limits(max_frames=29), "more frames than limits.max_frames, 29"),
        (Limits(max_duration_s=1.1), "it lasts 1.2 s, limits.max_duration_s is 1.1"),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_decoded(
    tmp_path, moving_picture, limits, message
):
    write_video(tmp_path / "v.mp4", moving_picture(30), fps=25)
    with pytest.raises(MediaError, match=message):
        list(read_clips(tmp_path / "v.mp4", sampling=SPARSE, size=SIZE, limits=limits))
    with pytest.raises(MediaError, match=message):
        probe(tmp_path / "v.mp4", limits=limits)


def test_a_wrong_time_does_not_make_a_video_of_centuries(tmp_path, moving_picture):
    """The list of its clips would not fit into memory; what probe refuses has none."""
    path = tmp_path / "v.mkv"
    write_video(path, moving_picture(30), fps=25, pts=[*range(29), 10**11])
    with pytest.raises(MediaError, match=r"it lasts .* s, limits.max_duration_s is 604800"):
        probe(path)


def test_wide_pixels_do_not_make_a_picture_beyond_the_limit(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for rgb in moving_picture(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    box = struct.Struct(">4sII")  # ISO/IEC 14496-12, 12.1.4
    data = path.read_bytes()
    assert box.pack(b"pasp", 4, 3) in data
    path.write_bytes(data.replace(box.pack(b"pasp", 4, 3), box.pack(b"pasp", 30_000, 1)))
    with pytest.raises(MediaError, match=r"a frame has 92160000 pixels, limits.max_pixels is"):
        list(read_clips(path, sampling=SPARSE))
    with pytest.raises(MediaError, match="TooLarge"):
        probe(path)


@pytest.mark.parametrize(
    "span", [(1.0, 0.5), (1.0, 1.0), (-5.0, -1.0), (math.nan, 1.0), (0.0, math.nan)]
)
def test_a_span_that_holds_no_time_is_refused_by_its_number(tmp_path, moving_picture, span):
    write_video(tmp_path / "v.mp4", moving_picture(50), fps=25)
    with pytest.raises(ValueError, match=r"spans\[1\] is \(.*\): give \(start_s, end_s\)"):
        list(read_clips(tmp_path / "v.mp4", sampling=SPARSE, size=SIZE, spans=[(0, 1), span]))


def test_a_span_is_cut_at_the_edges_of_the_video(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(50), fps=25)
    spans = [(-1.0, 1.0), (1.0, math.inf)]
    clips = list(read_clips(tmp_path / "v.mp4", sampling=SPARSE, size=SIZE, spans=spans))
    assert [(clip.start_s, clip.end_s) for clip in clips] == [(0.0, 1.0), (1.0, 2.0)]


def test_no_sampling_is_refused(tmp_path):
    with pytest.raises(ValueError, match="sampling is empty: give one or more"):
        list(read_clips(tmp_path / "v.mp4", sampling=[]))


def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "v.mp4")
    for read_it in (probe, lambda path: list(read_clips(path, sampling=SPARSE))):
        with pytest.raises(MediaError, match=r"v.mp4' is a pipe, a socket or a device"):
            read_it(tmp_path / "v.mp4")


def test_damage_within_the_wanted_frames_is_an_error_in_ffmpegs_words(tmp_path, moving_picture):
    path = tmp_path / "v.mp4"
    write_video(path, moving_picture(60), fps=25, gop_frames=12)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 :] = b"\xff" * (len(data) - len(data) // 2)
    path.write_bytes(data)
    with pytest.raises(MediaError) as caught:
        list(read_clips(path, sampling=SPARSE, size=SIZE))
    assert caught.value.error_class == "InvalidDataError"


def test_a_clip_after_the_end_is_an_error(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(25), fps=25)
    with pytest.raises(MediaError, match=r"a clip from 3.0 s is wanted, the video lasts 1.0 s"):
        list(read_clips(tmp_path / "v.mp4", sampling=SPARSE, size=SIZE, spans=[(3.0, 4.0)]))


@pytest.mark.data
def test_real_files_that_are_broken_end_as_errors_and_no_others(shared_data):
    paths = [p for p in (shared_data / "clips").rglob("*") if p.suffix in VIDEO_SUFFIXES]
    errors = {}
    for path in paths:
        try:
            list(read_clips(path, sampling=Sampling(num_frames=4), size=SIZE))
        except MediaError as error:
            errors[path.name] = error.error_class
    assert len(paths) > 70
    assert errors == {
        "corrupted.mp4": "InvalidDataError",
        "zero_bytes.webm": "InvalidDataError",
        "bad_video.mp4": "InvalidDataError",
        "with-attached-pic.mp3": "NoVideoStream",
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"size": (36, 40)}, r"size is \(36, 40\): give Size"),
        ({"sampling": "even"}, "sampling is 'even': give Sampling"),
        ({"spans": [(0.0, 1.0), (5.0, 2.0)]}, r"spans\[1\] is \(5.0, 2.0\): give"),
        ({"spans": (1.0, 2.0)}, r"spans\[0\] is 1.0: give"),
    ],
)
def test_arguments_of_the_wrong_kind_are_named(tmp_path, moving_picture, settings, message):
    write_video(tmp_path / "v.mp4", moving_picture(5), fps=25)
    with pytest.raises((TypeError, ValueError), match=message):
        list(read_clips(tmp_path / "v.mp4", **{"sampling": SPARSE, "size": SIZE, **settings}))


def test_text_is_no_video(tmp_path):
    (tmp_path / "v.txt").write_text("no video, a text\n" * 100)
    with pytest.raises(MediaError, match="the file is text") as caught:
        probe(tmp_path / "v.txt")
    assert caught.value.__notes__ == [f"in {tmp_path / 'v.txt'}"]
