"""Remote packets tell what local ones do, and of an MP4 next to nothing is fetched for it."""

from __future__ import annotations

import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import quote

import av
import numpy as np
import pytest

from tests.web import Web
from videoproc import storage
from videoproc.corpus.layouts.folder import VIDEO_SUFFIXES
from videoproc.media import write_video
from videoproc.media.remote import find_media_data, open_for_times
from videoproc.remote import HttpSource, RangeFile, patience

Pictures = Callable[..., Iterator[np.ndarray]]

NUM_FRAMES = 250
MOVFLAGS = {
    "index first": "+faststart",
    "index last": "",
    "fragments": "+frag_keyframe+empty_moov+default_base_moof",
    "fragments and their index": "+frag_keyframe+empty_moov+default_base_moof+global_sidx",
    "fragments after a first piece": "+frag_keyframe",
}


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """H.264 with B-frames and AAC, some 3 MB: noise, of which little can be left out."""
    path = tmp_path_factory.mktemp("encoded") / "a.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 128, "yuv420p"
        video.codec_context.max_b_frames, video.codec_context.gop_size = 2, 50
        video.codec_context.options = {"crf": "20", "preset": "ultrafast"}
        audio: Any = container.add_stream("aac", rate=44100, layout="mono")
        for _ in range(NUM_FRAMES):
            noise = rng.integers(0, 255, (128, 160, 3), dtype=np.uint8)
            container.mux(video.encode(av.VideoFrame.from_ndarray(noise)))
        container.mux(video.encode(None))
        for start in range(0, NUM_FRAMES * 44100 // 25, 1024):
            tone = np.sin(np.arange(start, start + 1024) / 20).astype(np.float32)[None]
            frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return path


def remuxed(encoded: Path, target: Path, movflags: str) -> Path:
    """The same packets in another container, those of both streams in turn."""
    with (
        av.open(str(encoded)) as given,
        av.open(str(target), "w", options={"movflags": movflags} if movflags else {}) as made,
    ):
        streams = {s.index: made.add_stream_from_template(s) for s in given.streams}
        packets = [packet for packet in given.demux() if packet.dts is not None]
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            packet.stream = streams[packet.stream_index]
            made.mux(packet)
    return target


def packets_of(container: Any) -> dict[int, list[tuple]]:
    found = defaultdict(list)
    for p in container.demux():
        if p.size:
            flags = (p.is_keyframe, p.is_discard, p.is_corrupt)
            found[p.stream_index].append((p.pts, p.dts, p.pos, p.size, p.duration, *flags))
    return found


def packets_here(path: Path) -> dict[int, list[tuple]]:
    with av.open(str(path)) as container:
        return packets_of(container)


@pytest.mark.parametrize("kind", MOVFLAGS)
def test_packets_of_a_remote_mp4_are_known_without_its_pictures(
    encoded: Path, tmp_path: Path, web: Web, kind: str
) -> None:
    path = remuxed(encoded, tmp_path / "a.mp4", MOVFLAGS[kind])
    expected = packets_here(path)
    assert len(expected[0]) == NUM_FRAMES
    with RangeFile(HttpSource(web.put("/a.mp4", path.read_bytes()))) as file:
        with open_for_times(file) as container:
            assert packets_of(container) == expected
        assert file.bytes_fetched < file.size / 2


def test_what_only_pictures_tell_of_a_fragmented_file_is_known(
    moving_picture: Pictures, tmp_path: Path, web: Web
) -> None:
    pictures = tmp_path / "pictures.mp4"
    write_video(pictures, moving_picture(60), fps=25, codec="mpeg2video", crf=None)
    path = remuxed(pictures, tmp_path / "a.mp4", "+frag_keyframe+empty_moov")
    with (
        av.open(str(path)) as here,
        RangeFile(HttpSource(web.put("/a.mp4", path.read_bytes()))) as file,
        open_for_times(file) as there,
    ):
        stream, expected = there.streams.video[0], here.streams.video[0]
        assert expected.codec_context.pix_fmt == "yuv420p"
        assert stream.codec_context.pix_fmt == "yuv420p"
        assert stream.guessed_rate == expected.guessed_rate == 25


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        (".mov", "prores"),
        (".mkv", "libx264"),
        (".webm", "libvpx"),
        (".ts", "libx264"),
        (".mpg", "mpeg2video"),
        (".avi", "mpeg4"),
    ],
)
def test_packets_of_any_remote_file_are_those_of_the_local_one(
    moving_picture: Pictures, tmp_path: Path, bucket: str, suffix: str, codec: str
) -> None:
    path, pix_fmt = tmp_path / f"a b{suffix}", "yuv422p10" if codec == "prores" else "yuv420p"
    write_video(path, moving_picture(60), fps=25, codec=codec, pix_fmt=pix_fmt, crf=None)
    place = storage.at(bucket) / path.name
    storage.write_whole(place, path.read_bytes())
    with storage.open_ranges(place) as file, open_for_times(file) as container:
        assert packets_of(container) == packets_here(path)


def test_decoding_fetches_what_was_planned_and_at_most_a_little_more(
    encoded: Path, tmp_path: Path, web: Web
) -> None:
    path = remuxed(encoded, tmp_path / "a.mp4", "+faststart")
    with RangeFile(HttpSource(web.put("/a.mp4", path.read_bytes()))) as file:
        with open_for_times(file) as container:
            packets = packets_of(container)[0]
        fetched = file.bytes_fetched
        key, last = 100, 101  # of packets: the decoder waits for two more before its first frame
        pts, start, stop = packets[key][0], packets[key][2], packets[last][2] + packets[last][3]
        file.plan([(start, stop)])
        with av.open(file) as container:
            container.seek(pts, stream=container.streams.video[0])
            assert next(container.decode(video=0)).pts == pts
        assert stop - start <= file.bytes_fetched - fetched <= stop - start + (96 << 10)


def test_pictures_are_true_again_afterwards(encoded: Path, tmp_path: Path, web: Web) -> None:
    path = remuxed(encoded, tmp_path / "a.mp4", "+frag_keyframe+empty_moov")

    def pictures(source: Any) -> list[bytes]:
        with av.open(source) as container:
            return [frame.to_ndarray().tobytes() for frame in container.decode(video=0)]

    with RangeFile(HttpSource(web.put("/a.mp4", path.read_bytes()))) as file:
        with open_for_times(file) as container:
            packets_of(container)
        assert pictures(file) == pictures(str(path))


def test_packets_that_alone_say_what_is_shown_are_true(
    moving_picture: Pictures, tmp_path: Path, web: Web
) -> None:
    path = tmp_path / "a.mov"
    write_video(path, moving_picture(50), fps=25, codec="prores", pix_fmt="yuv422p10", crf=None)
    content = path.read_bytes().replace(b"apcn", b"vp08")  # FFmpeg reads VP8 here, writes none
    path.write_bytes(content)
    with (
        av.open(str(path)) as here,
        RangeFile(HttpSource(web.put("/a.mov", content))) as file,
        open_for_times(file) as there,
    ):
        assert here.streams.video[0].codec_context.codec.canonical_name == "vp8"
        assert [bytes(p) for p in there.demux()] == [bytes(p) for p in here.demux()]


def test_a_remote_file_that_ends_too_early_has_the_packets_that_are_there(
    encoded: Path, tmp_path: Path, web: Web
) -> None:
    path = remuxed(encoded, tmp_path / "a.mp4", "+faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    expected = packets_here(path)
    assert 100 < len(expected[0]) < NUM_FRAMES
    with (
        RangeFile(HttpSource(web.put("/a.mp4", path.read_bytes()))) as file,
        open_for_times(file) as container,
    ):
        assert packets_of(container) == expected


def test_boxes_that_do_not_add_up_are_not_followed(web: Web) -> None:
    def box(kind: bytes, num_bytes: int, *, said: int | None = None) -> bytes:
        return (said or num_bytes + 8).to_bytes(4, "big") + kind + bytes(num_bytes)

    def data_of(content: bytes) -> tuple:
        with RangeFile(HttpSource(web.put("/a", content))) as file:
            return find_media_data(file).ranges

    ftyp = box(b"ftyp", 8)
    assert data_of(ftyp + box(b"mdat", 100) + box(b"mdat", 50)) == ((24, 124), (132, 182))
    assert data_of(ftyp + box(b"mdat", 100, said=5000)) == ((24, 124),)
    assert data_of(ftyp + box(b"mdat", 100) + box(b"free", 0, said=3)) == ((24, 124),)
    large = (1).to_bytes(4, "big") + b"mdat" + (116).to_bytes(8, "big") + bytes(100)
    assert data_of(ftyp + large + box(b"moov", 4)) == ((32, 132),)
    to_the_end = (0).to_bytes(4, "big") + b"mdat" + bytes(100)
    assert data_of(ftyp + to_the_end) == ((24, 124),)
    assert data_of(b"no boxes, but mdat" * 10) == ()
    assert data_of(b"") == ()


def test_a_server_that_fails_in_the_middle_is_an_error_and_not_a_short_video(
    encoded: Path, tmp_path: Path, web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = remuxed(encoded, tmp_path / "a.mkv", "")
    monkeypatch.setenv(patience.SETTING, "0.01")
    with (
        RangeFile(HttpSource(web.put("/a.mkv", path.read_bytes()))) as file,
        open_for_times(file) as container,
    ):
        web.fail = [503] * 10
        with pytest.raises(OSError, match=r"a.mkv cannot be read: HTTP 503"):
            packets_of(container)


def test_a_reader_of_local_files_imports_no_client_of_a_store(encoded: Path, web: Web) -> None:
    """A child that decodes is to start quickly."""
    code = """
import sys
from videoproc import storage
from videoproc.media import probe
from videoproc.media.remote import open_for_times
clients = {"boto3", "requests", "pyarrow"}
probe(sys.argv[1])
assert not clients & set(sys.modules), sorted(sys.modules)
with storage.open_ranges(storage.at(sys.argv[2])) as file, open_for_times(file): pass
assert clients & set(sys.modules) == {"requests"}
"""
    url, root = web.put("/a.mp4", encoded.read_bytes()), Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", code, str(encoded), url], check=True, cwd=root)


@pytest.mark.data
def test_packets_of_every_real_clip_are_those_of_the_local_file(
    shared_data: Path, web: Web
) -> None:
    compared = 0
    for path in sorted((shared_data / "clips").rglob("*")):
        if path.suffix not in VIDEO_SUFFIXES:
            continue
        try:
            expected = packets_here(path)
        except av.FFmpegError:
            continue
        with (
            RangeFile(HttpSource(web.put(f"/{quote(path.name)}", path.read_bytes()))) as file,
            open_for_times(file) as container,
        ):
            assert packets_of(container) == expected, path
        compared += 1
    assert compared > 60
