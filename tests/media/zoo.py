"""The zoo: one small video for every trap that decoding must not fall into.

Every file is encoded here with PyAV's own encoders, so that the tests run wherever PyAV does. What
no muxer writes by itself (an edit list that cuts into a group of pictures, a header that lies) is
patched into the bytes afterwards.
"""

from __future__ import annotations

import io
import itertools
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

NUM_FRAMES, FPS, GOP = 48, 25, 12
WIDTH, HEIGHT = 64, 48


@dataclass(frozen=True, kw_only=True)
class Case:
    """A file of the zoo.

    trap: what goes wrong where it is read carelessly. flags: what its header must be told by.
    error: the class of the MediaError where it must be refused.
    """

    name: str
    trap: str
    build: Callable[[Path], None]
    flags: tuple[str, ...] = ()
    error: str | None = None

    @property
    def id(self) -> str:
        return self.name.encode("ascii", "backslashreplace").decode()


# Pictures


def pictures(num_frames: int, *, width: int = WIDTH, height: int = HEIGHT) -> Iterator[np.ndarray]:
    """A texture that slides by a pixel a frame, and a light whose place tells left from right."""
    rng = np.random.default_rng(0)
    texture = rng.integers(0, 255, (24, 24, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    for i in range(num_frames):
        frame = np.roll(texture, -i, axis=1)[:height, :width].copy()
        frame[: height // 4, : width // 4] = (255, 5 * i % 256, 0)
        yield frame


def patches(num_frames: int) -> Iterator[np.ndarray]:
    """A still ground on which a square moves: what does not change need not be stored."""
    for i in range(num_frames):
        frame = np.full((HEIGHT, WIDTH, 3), 90, dtype=np.uint8)
        frame[10:20, i : i + 10] = (250, 30, 30)
        yield frame


# Encoding

X264 = {"preset": "veryfast", "threads": "1"}
PYRAMID = "b-adapt=0:b-pyramid=normal:scenecut=0"
"""x264 parameters: as many B-frames as asked for, and B-frames that others refer to."""
OPEN_GOP = PYRAMID + ":open-gop=1"
X265 = {"preset": "ultrafast"}
X265_PARAMS = "log-level=none:pools=none:frame-threads=1:b-adapt=0:scenecut=0"
SVT = {"preset": "12", "crf": "40", "svtav1-params": "lp=1"}
VPX = {"deadline": "realtime", "cpu-used": "8", "threads": "1"}


def encode(path: Path, **settings: Any) -> None:
    """One video stream into the container that the suffix names; see `add_video`, `new_file`."""
    file_settings = {
        key: settings.pop(key) for key in ("file_options", "format") if key in settings
    }
    with new_file(path, **file_settings) as container:
        add_video(container, **settings)()


def new_file(
    target: Path | Any, *, format: str | None = None, file_options: dict[str, str] | None = None
) -> OutputContainer:
    place = os.fsencode(target.absolute()) if isinstance(target, Path) else target
    place = os.fsdecode(place) if isinstance(place, bytes) else place
    return av.open(place, "w", format=format, options=file_options or {})


def add_video(
    container: OutputContainer,
    *,
    codec: str = "libx264",
    frames: Callable[[int], Iterator[np.ndarray]] | None = None,
    num_frames: int = NUM_FRAMES,
    width: int = WIDTH,
    height: int = HEIGHT,
    pix_fmt: str = "yuv420p",
    gop: int = GOP,
    bframes: int = 0,
    pts: Sequence[int] | None = None,
    ticks_per_s: int = FPS,
    options: dict[str, str] | None = None,
    rotate: tuple[float, bool, bool] | None = None,
    aspect: Fraction | None = None,
    colour: dict[str, int] | None = None,
) -> Callable[[], None]:
    """A video stream; the function that is returned encodes it.

    pts: the frames' times in 1 / ticks_per_s. rotate: degrees counter-clockwise, and whether the
    picture is then mirrored left to right, and upside down. aspect: of a sample. colour: fields of
    the codec context.
    """
    stream = container.add_stream(codec, rate=FPS)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height, stream.pix_fmt = width, height, pix_fmt
    context = stream.codec_context
    context.gop_size, context.max_b_frames = gop, bframes
    context.time_base = Fraction(1, ticks_per_s)
    context.options = (X264 if codec == "libx264" else {}) | (options or {})
    for name, value in (colour or {}).items():
        setattr(context, name, value)
    if aspect:
        context.sample_aspect_ratio = aspect
    if rotate:
        stream.set_display_rotation(*rotate)

    def write() -> None:
        images = frames(num_frames) if frames else pictures(num_frames, width=width, height=height)
        for i, image in enumerate(images):
            frame = av.VideoFrame.from_ndarray(image)
            frame.pts = i if pts is None else pts[i]
            frame.time_base = context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    return write


def add_audio(
    container: OutputContainer, *, codec: str = "aac", seconds: float = 2.0
) -> Callable[[], None]:
    stream = container.add_stream(codec, rate=48000)

    def write() -> None:
        wave = np.sin(np.arange(int(48000 * seconds)) / 30).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(np.stack([wave, wave]), format="fltp", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = 48000, 0, Fraction(1, 48000)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))

    return write


def jpeg(path: Path) -> bytes:
    """A picture as a JPEG file's bytes, a cover; `path` is a place for it."""
    scratch = path.with_name("cover.mjpeg")
    encode(scratch, codec="mjpeg", pix_fmt="yuvj420p", num_frames=1, width=80, height=80)
    data = scratch.read_bytes()
    scratch.unlink()
    return data


class Pipe(io.RawIOBase):
    """A file that cannot be sought in: what is written stays as it is."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: Any) -> int:
        self.data += bytes(data)
        return len(data)

    def writable(self) -> bool:
        return True


# Packets moved from one file to another


def remux(source: Path, path: Path, change: Callable[[int, av.Packet], av.Packet | None]) -> None:
    """The packets of `source`, in order, into a new file.

    change: given a packet's number and the packet, gives the one to write, or None.
    """
    with av.open(str(source)) as old, new_file(path) as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for number, packet in enumerate(old.demux(stream)):
            if packet.size and (changed := change(number, packet)) is not None:
                changed.stream = copy
                new.mux(changed)


# Boxes of MP4


def change_box(data: bytes, where: str, change: Callable[[bytes], bytes]) -> bytes:
    """The bytes of an MP4 with the payload of the first box at `where` ("moov/trak/tkhd") changed.

    The sizes of the boxes around it follow; what lies behind them moves, so `moov` must be last.
    """
    kind, _, rest = where.partition("/")
    at = 0
    while at < len(data):
        size, this = struct.unpack_from(">I4s", data, at)
        if this == kind.encode():
            payload = data[at + 8 : at + size]
            payload = change_box(payload, rest, change) if rest else change(payload)
            box = struct.pack(">I4s", len(payload) + 8, this) + payload
            return data[:at] + box + data[at + size :]
        at += size
    raise ValueError(f"no box {kind!r}")


def packed(path: Path) -> None:
    """DivX's way to keep B-frames in AVI: a packet holds the picture that is shown later and the
    one that is shown first, and the next packet is a placeholder."""
    source = path.with_name("unpacked.avi")
    encode(source, codec="mpeg4", bframes=1, options={"b_strategy": "0", "sc_threshold": "0"})
    mark = b"\x00\x00\x01\xb2DivX503b1393p"  # "p" stands for packed
    placeholder = b"\x00\x00\x01\xb6\x5b\x80\x00"  # a P picture that is not coded
    with av.open(str(source)) as old:
        stream = old.streams.video[0]
        packets = [bytes(packet) for packet in old.demux(stream) if packet.size]
        kinds = [data[data.index(b"\x00\x00\x01\xb6") + 4] >> 6 for data in packets]
        with new_file(path) as new:
            copy = new.add_stream_from_template(stream)
            times = itertools.count()
            for i, (data, kind) in enumerate(zip(packets, kinds, strict=True)):
                if kind == B_PICTURE:
                    out = placeholder
                else:
                    has_b = i + 1 < len(kinds) and kinds[i + 1] == B_PICTURE
                    out = data + (packets[i + 1] if has_b else b"")
                at = out.index(b"\x00\x00\x01\xb6")
                packet = av.Packet(out[:at] + mark + out[at:] if i == 0 else out)
                packet.stream, packet.time_base = copy, Fraction(1, FPS)
                packet.pts = packet.dts = next(times)
                packet.is_keyframe = kind == I_PICTURE
                new.mux(packet)
    source.unlink()


I_PICTURE, B_PICTURE = 0, 2
"""MPEG-4's vop_coding_type."""


def hidden(path: Path) -> None:
    """Every eighth packet is only referred to, as VP8's alternative references are."""
    source = path.with_name("shown.mkv")
    encode(source, **VP8)

    def hide(number: int, packet: av.Packet) -> av.Packet:
        if number % 8 != 5:
            return packet
        data = bytes(packet)
        silent = av.Packet(bytes([data[0] & ~0x10]) + data[1:])  # show_frame, RFC 6386 section 9.1
        silent.pts, silent.dts, silent.time_base = packet.pts, packet.dts, packet.time_base
        silent.is_keyframe = packet.is_keyframe
        return silent

    remux(source, path, hide)
    source.unlink()


def put(value: bytes, at: int) -> Callable[[bytes], bytes]:
    return lambda payload: payload[:at] + value + payload[at + len(value) :]


def u32(value: int) -> bytes:
    return struct.pack(">I", value)


MEDIA_SCALE, MOVIE_SCALE = 12800, 1000
"""FFmpeg's clocks for a 25 fps track, and for the movie: ticks a second."""


def edited(path: Path, *, edits: Sequence[tuple[float, float]], **settings: Any) -> None:
    """An MP4 whose edit list shows only (start_s, duration_s) of the media, in that order.

    Without B-frames the media's clock starts at 0 with the first frame; with them at the delay.
    """
    encode(path, **settings)

    def edit_list(payload: bytes) -> bytes:
        delay = struct.unpack_from(">i", payload, 12)[0] if len(payload) == 20 else 0
        return (
            payload[:4]
            + u32(len(edits))
            + b"".join(
                struct.pack(
                    ">IiI",
                    round(duration_s * MOVIE_SCALE),
                    round(start_s * MEDIA_SCALE) + delay if start_s >= 0 else -1,
                    1 << 16,
                )
                for start_s, duration_s in edits
            )
        )

    path.write_bytes(change_box(path.read_bytes(), "moov/trak/edts/elst", edit_list))


def lying_mp4(path: Path, *, duration_s: float) -> None:
    """All three durations of the header say `duration_s`."""
    encode(path, bframes=2)
    data = path.read_bytes()
    data = change_box(data, "moov/mvhd", put(u32(round(duration_s * MOVIE_SCALE)), 16))
    data = change_box(data, "moov/trak/tkhd", put(u32(round(duration_s * MOVIE_SCALE)), 20))
    lie = put(u32(round(duration_s * MEDIA_SCALE)), 16)
    path.write_bytes(change_box(data, "moov/trak/mdia/mdhd", lie))


def short_stts(path: Path) -> None:
    encode(path)
    times = put(u32(1) + u32(40) + u32(MEDIA_SCALE // FPS), 4)
    data = change_box(path.read_bytes(), "moov/trak/mdia/minf/stbl/stts", times)
    path.write_bytes(data)


def every_packet_a_key(path: Path, **settings: Any) -> None:
    """The container calls every frame a key frame."""
    source = path.with_name("honest" + path.suffix)
    encode(source, **settings)

    def lie(_: int, packet: av.Packet) -> av.Packet:
        packet.is_keyframe = True
        return packet

    remux(source, path, lie)
    source.unlink()


def one_packet_a_key(path: Path, **settings: Any) -> None:
    """The container knows of the first key frame only."""
    source = path.with_name("honest" + path.suffix)
    encode(source, **settings)

    def lie(number: int, packet: av.Packet) -> av.Packet:
        packet.is_keyframe = number == 0
        return packet

    remux(source, path, lie)
    source.unlink()


# Lies of other containers


def lying_mkv(path: Path, *, factor: float) -> None:
    encode(path, bframes=2)
    data = bytearray(path.read_bytes())
    at = data.index(b"\x44\x89\x88") + 3  # Duration, a float of 8 bytes
    (duration_ms,) = struct.unpack_from(">d", data, at)
    struct.pack_into(">d", data, at, duration_ms * factor)
    path.write_bytes(data)


def lying_avi(path: Path, *, num_frames: int) -> None:
    encode(path, codec="mpeg4", bframes=2)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, data.index(b"avih") + 8 + 16, num_frames)
    struct.pack_into("<I", data, data.index(b"strh") + 8 + 32, num_frames)
    path.write_bytes(data)


def avi_without_index(path: Path) -> None:
    encode(path, codec="mpeg4", bframes=2)
    path.write_bytes(path.read_bytes().replace(b"idx1", b"JUNK"))


def streamed(path: Path, *, format: str, **settings: Any) -> None:
    """Written to a pipe: neither a duration nor an index could be filled in afterwards."""
    pipe = Pipe()
    with new_file(pipe, format=format) as container:
        add_video(container, **settings)()
    path.write_bytes(pipe.data)


# Orders of time


def unordered(path: Path) -> None:
    """Each pair of frames has its times swapped; they were stored in the order of showing."""
    source = path.with_name("ordered.mkv")
    encode(source)
    times: list[int] = []
    with av.open(str(source)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.pts is not None]

    def swap(number: int, packet: av.Packet) -> av.Packet:
        packet.dts, packet.pts = times[number], times[number ^ 1] + 40
        return packet

    remux(source, path, swap)
    source.unlink()


def twice_the_same_time(path: Path) -> None:
    source = path.with_name("ordered.mkv")
    encode(source)

    def repeat(number: int, packet: av.Packet) -> av.Packet:
        if number % 8 == 5:
            packet.pts = packet.dts = packet.pts - 40
        return packet

    remux(source, path, repeat)
    source.unlink()


def joined(path: Path, *, parts: Sequence[dict[str, Any]]) -> None:
    """Transport streams one after another, as a recorder leaves them."""
    data = b""
    for number, settings in enumerate(parts):
        piece = path.with_name(f"piece{number}.ts")
        encode(piece, **settings)
        data += piece.read_bytes()
        piece.unlink()
    path.write_bytes(data)


def cut_at_front(path: Path, *, packets: int | None = None, **settings: Any) -> None:
    """A recording that was joined midway, after so many packets; None: at its second key frame."""
    source = path.with_name("whole" + path.suffix)
    encode(source, **settings)
    if packets is None:
        with av.open(str(source)) as container:
            keys = [i for i, packet in enumerate(container.demux(video=0)) if packet.is_keyframe]
        packets = keys[1]
    remux(source, path, lambda i, packet: packet if i >= packets else None)
    source.unlink()


def cut_ts_at_front(path: Path, **settings: Any) -> None:
    """The same, in bytes: a transport stream that begins in the middle of a picture."""
    encode(path, **settings)
    data = path.read_bytes()
    num_packets = len(data) // 188
    path.write_bytes(data[: 3 * 188] + data[num_packets // 6 * 188 :])


# Several streams


def two_videos(path: Path) -> None:
    with new_file(path) as container:
        small = add_video(container, bframes=2)
        large = add_video(container, width=128, height=96, gop=7)
        small(), large()


def sound_and_picture(
    path: Path, *, sound_s: float, sound_first: bool = False, **settings: Any
) -> None:
    with new_file(path) as container:
        codec = "libopus" if path.suffix == ".webm" else "mp2" if path.suffix == ".mpg" else "aac"
        if sound_first:
            sound, video = add_audio(container, seconds=sound_s), add_video(container, **settings)
        else:
            video, sound = (
                add_video(container, **settings),
                add_audio(container, codec=codec, seconds=sound_s),
            )
        video(), sound()


def sound_only(path: Path, *, codec: str = "aac") -> None:
    with new_file(path) as container:
        add_audio(container, codec=codec)()


def sound_with_cover(path: Path) -> None:
    with new_file(path) as container:
        sound = add_audio(container, codec="libmp3lame")
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 80, 80, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        for image in pictures(1, width=80, height=80):
            container.mux(cover.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(cover.encode(None))
        sound()


def mp4_with_cover(path: Path) -> None:
    with new_file(path) as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 80, 80, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        video = add_video(container, bframes=2)
        for image in pictures(1, width=80, height=80):
            container.mux(cover.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(cover.encode(None))
        video()


def mkv_with_cover(path: Path) -> None:
    cover = jpeg(path)
    with new_file(path) as container:
        container.add_attachment("cover.jpg", "image/jpeg", cover)
        add_video(container, bframes=2)()


def cut_at_end(path: Path, *, share: float = 0.6, **settings: Any) -> None:
    """A copy that was broken off: the first `share` of the bytes."""
    encode(path, **settings)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


def no_bytes(path: Path) -> None:
    path.write_bytes(b"")


def no_video_at_all(path: Path) -> None:
    path.write_bytes(b"a text that is named like a video\n" * 100)


# The table

PQ, HLG = 16, 18
BT709, BT601, BT2020 = 1, 6, 9
LIMITED, FULL = 1, 2


def colours(*, space: int, range: int = LIMITED, trc: int | None = None) -> dict[str, int]:
    return {
        "colorspace": space,
        "color_range": range,
        "color_primaries": space,
        "color_trc": space if trc is None else trc,
    }


def case(
    name: str,
    trap: str,
    build: Callable[..., None] = encode,
    *,
    flags: tuple[str, ...] = (),
    error: str | None = None,
    **settings: Any,
) -> Case:
    return Case(name=name, trap=trap, build=partial(build, **settings), flags=flags, error=error)


B_FRAMES = {"bframes": 3, "options": {"x264-params": PYRAMID}}
OPEN_H264 = {"bframes": 3, "options": {"x264-params": OPEN_GOP}}
HEVC = {"codec": "libx265", "options": X265 | {"x265-params": X265_PARAMS + ":open-gop=0"}}
OPEN_HEVC = {
    "codec": "libx265",
    "bframes": 3,
    "options": X265 | {"x265-params": X265_PARAMS + ":open-gop=1"},
}
AV1 = {"codec": "libsvtav1", "width": 96, "height": 64, "options": SVT}
VP8 = {"codec": "libvpx", "options": VPX | {"auto-alt-ref": "0"}}
VP9 = {"codec": "libvpx-vp9", "options": VPX}
MPEG2 = {"codec": "mpeg2video", "bframes": 2}
MPEG4 = {"codec": "mpeg4", "bframes": 2}
MJPEG = {"codec": "mjpeg", "pix_fmt": "yuvj420p"}
INTERLACED = {"flags": "+ildct+ilme"}
REFRESH_ALONE = {"x264-params": "intra-refresh=1:ref=1:b-adapt=1:b-pyramid=strict:weightp=0"}
IRREGULAR = [2 * i + 3 * (i // 7) + (i % 5 == 4) for i in range(NUM_FRAMES)]
"""Times that ascend in uneven steps."""

CODECS = (
    case("h264.mp4", "the plain one: one group follows the other"),
    case("h264_b_frames.mp4", "stored in another order than shown", **B_FRAMES),
    case("h264_b_frames.mov", "the same in QuickTime's own", **B_FRAMES),
    case("h264_b_frames.mkv", "no times of decoding are stored", **B_FRAMES),
    case("h264_b_frames.ts", "no index at all, and a clock of its own", **B_FRAMES),
    case("h264_b_frames.avi", "no times of showing are stored", **B_FRAMES),
    case("h264_b_frames.flv", "times in milliseconds", **B_FRAMES),
    case("h264_b_frames.h264", "no container: neither times nor an index", **B_FRAMES),
    case("h264_open_gop.mp4", "frames before a key frame refer to the group before", **OPEN_H264),
    case("h264_open_gop.mkv", "the same", **OPEN_H264),
    case("h264_open_gop.ts", "the same", **OPEN_H264),
    case(
        "h264_intra_refresh.mp4",
        "no key frame but the first: the picture is renewed in stripes",
        options={"x264-params": "intra-refresh=1"},
    ),
    case("h264_intra_refresh.mkv", "the same", options={"x264-params": "intra-refresh=1"}),
    case("h264_intra_refresh.ts", "the same", options={"x264-params": "intra-refresh=1"}),
    case(
        "h264_intra_refresh_sparse.mkv",
        "after a stripe's round trip the picture looks renewed, and differs in a few pixels",
        num_frames=60,
        height=80,
        pts=[i + 3 * (i // 7) for i in range(60)],
        options={"x264-params": "intra-refresh=1:ref=6:weightp=0:b-adapt=2:b-pyramid=none"},
    ),
    case("h264_intra_only.mp4", "every frame is a key frame", gop=1),
    case("h264_one_key.mp4", "one key frame only", gop=1000, **B_FRAMES),
    case("h264_one_key.ts", "the same, without an index", gop=1000, **B_FRAMES),
    case("hevc.mp4", "the plain one", **HEVC),
    case(
        "hevc_radl.mp4",
        "frames before a key frame that need only it",
        bframes=3,
        codec="libx265",
        options=X265 | {"x265-params": X265_PARAMS + ":open-gop=0:radl=2"},
    ),
    case(
        "hevc_open_gop.mp4", "RASL pictures: not decodable after a seek to their CRA", **OPEN_HEVC
    ),
    case("hevc_open_gop.mkv", "the same", **OPEN_HEVC),
    case("hevc_open_gop.ts", "the same", **OPEN_HEVC),
    case("hevc_open_gop.hevc", "the same without a container", **OPEN_HEVC),
    case("av1.mp4", "frames that are stored once and shown later", **AV1),
    case(
        "av1_open_gop.mp4",
        "frames before a key frame refer to the group before",
        **(AV1 | {"options": SVT | {"svtav1-params": "lp=1:irefresh-type=1"}}),
    ),
    case(
        "av1_open_gop.mkv",
        "the same",
        **(AV1 | {"options": SVT | {"svtav1-params": "lp=1:irefresh-type=1"}}),
    ),
    case(
        "av1_grain.mp4",
        "noise that the decoder adds",
        **(AV1 | {"options": SVT | {"svtav1-params": "lp=1:film-grain=20"}}),
    ),
    case("av1.mkv", "the same", **AV1),
    case("av1.webm", "the same", **AV1),
    case("vp8.webm", "the plain one", **VP8),
    case("vp8_hidden.webm", "packets that show nothing", hidden),
    case("vp8_hidden.mkv", "the same", hidden),
    case("vp9.webm", "the plain one", **VP9),
    case("vp9.mp4", "the same", **VP9),
    case("vp9.ivf", "the same, without an index", **VP9),
    case("mpeg1.mpg", "a program stream: seeking lands anywhere", codec="mpeg1video", bframes=2),
    case("mpeg1.avi", "no times of showing", codec="mpeg1video", bframes=2),
    case("mpeg2.mpg", "a program stream", **MPEG2),
    case("mpeg2.vob", "a program stream of a disc", **MPEG2),
    case("mpeg2.ts", "open groups, no index", **MPEG2),
    case("mpeg2.mkv", "open groups", **MPEG2),
    case("mpeg2.mp4", "open groups", **MPEG2),
    case(
        "mpeg2_closed.mpg",
        "closed groups",
        options={"flags": "+cgop", "sc_threshold": "1000000000"},
        **MPEG2,
    ),
    case("mpeg4.avi", "B-frames where no times of showing are stored", **MPEG4),
    case("mpeg4.mp4", "the plain one", **MPEG4),
    case("mpeg4.mov", "the same", **MPEG4),
    case("mpeg4.mkv", "the same", **MPEG4),
    case("mpeg4.ts", "the same", **MPEG4),
    case("mpeg4_packed.avi", "two pictures in a packet, none in the next", packed),
    case("mpeg4_no_b.avi", "the plain one", codec="mpeg4"),
    case("mjpeg.avi", "every frame is a key frame", **MJPEG),
    case("mjpeg.mov", "the same", **MJPEG),
    case("mjpeg.mkv", "the same", **MJPEG),
    case("prores.mov", "10 bit 4:2:2, key frames only", codec="prores_ks", pix_fmt="yuv422p10le"),
    case("ffv1.mkv", "lossless, its coder's state runs on between key frames", codec="ffv1"),
    case("wmv.wmv", "ASF: packets are cut in pieces", codec="wmv2"),
    case(
        "still_ground.gif",
        "a frame is painted over the one before",
        codec="gif",
        pix_fmt="rgb8",
        frames=patches,
    ),
    case(
        "delays.gif",
        "uneven delays",
        codec="gif",
        pix_fmt="rgb8",
        ticks_per_s=100,
        pts=[4 * i for i in IRREGULAR],
    ),
    case("grey.gif", "a grey palette", codec="gif", pix_fmt="gray"),
)

TIMES = (
    case("variable_rate.mp4", "uneven times", bframes=2, pts=IRREGULAR),
    case("variable_rate.mkv", "uneven times in milliseconds", bframes=2, pts=IRREGULAR),
    case("variable_rate.ts", "uneven times, no durations", bframes=2, pts=IRREGULAR),
    case("variable_rate.webm", "uneven times", pts=IRREGULAR, **VP9),
    case("gaps.avi", "an empty chunk where no frame is shown", codec="mpeg4", pts=IRREGULAR),
    case("gaps_h264.avi", "times that FFmpeg makes up are a frame late", pts=IRREGULAR),
    case("late_start.avi", "the same: the first frame stays for seconds", pts=range(50, 98)),
    case("gaps_b_frames.avi", "the same with B-frames", pts=IRREGULAR, **MPEG4),
    case("gaps_mjpeg.avi", "the same, key frames only", pts=IRREGULAR, **MJPEG),
    case(
        "long_pause.mp4",
        "one frame stands for minutes",
        bframes=2,
        pts=[i if i < 20 else i + 5000 for i in range(NUM_FRAMES)],
    ),
    case("late_start.mp4", "the first frame is not at 0", bframes=2, pts=range(100, 148)),
    case("late_start.mkv", "the same", bframes=2, pts=range(100, 148)),
    case("late_start.ts", "the same", bframes=2, pts=range(100, 148)),
    case("early_start.mkv", "times below 0, which the muxer moves", bframes=2, pts=range(-20, 28)),
    case(
        "early_start.mp4",
        "times below 0 behind an edit list",
        bframes=2,
        pts=range(-20, 28),
        file_options={"avoid_negative_ts": "disabled", "use_editlist": "1"},
    ),
    case(
        "negative_times.mov",
        "times below 0 as they are",
        pts=range(-20, 28),
        file_options={"avoid_negative_ts": "disabled"},
    ),
    case(
        "negative_offsets.mp4",
        "negative offsets in place of an edit list",
        file_options={"movflags": "+negative_cts_offsets"},
        **B_FRAMES,
    ),
    case(
        "no_edit_list.mp4",
        "the delay of B-frames is not taken back",
        file_options={"use_editlist": "0"},
        **B_FRAMES,
    ),
    case(
        "clock_wraps.ts",
        "the 33 bit clock begins anew midway",
        bframes=2,
        pts=range(95443 * 25, 95443 * 25 + 48),
    ),
    case(
        "ntsc.mp4",
        "a rate that is no decimal number",
        ticks_per_s=30000,
        bframes=2,
        pts=[1001 * i for i in range(NUM_FRAMES)],
    ),
    case(
        "ntsc.mkv",
        "the same, rounded to milliseconds",
        ticks_per_s=30000,
        bframes=2,
        pts=[1001 * i for i in range(NUM_FRAMES)],
    ),
    case(
        "edit_cuts_group.mp4",
        "shown from the middle of a group: frames are decoded, not shown",
        edited,
        edits=[(0.68, 1.0)],
    ),
    case(
        "edit_cuts_open_group.mp4",
        "the same with B-frames and open groups",
        edited,
        edits=[(0.68, 0.9)],
        **OPEN_H264,
    ),
    case(
        "edit_cuts_end.mp4", "the last second is not shown", edited, edits=[(0.0, 0.88)], **B_FRAMES
    ),
    case(
        "edit_waits.mp4",
        "nothing is shown for half a second",
        edited,
        edits=[(-1, 0.5), (0.0, 1.92)],
    ),
    case("edit_repeats.mp4", "a part is shown twice", edited, edits=[(0.48, 0.48), (0.0, 1.44)]),
    case(
        "edit_skips.mp4",
        "a part in the middle is not shown",
        edited,
        edits=[(0.0, 0.6), (1.2, 0.6)],
    ),
    case("unordered.mkv", "frames whose times do not ascend", unordered),
    case("unordered.mp4", "the same", unordered),
    case("same_time_twice.mkv", "two frames at one time", twice_the_same_time),
    case(
        "restarts.ts",
        "two recordings in one file: the clock goes back",
        joined,
        parts=[{"bframes": 2}, {"bframes": 2}],
    ),
    case(
        "jumps.ts",
        "two recordings in one file, an hour apart",
        joined,
        parts=[{"bframes": 2}, {"bframes": 2, "pts": range(90_000, 90_048)}],
    ),
)

LIES = (
    case("says_20_s.mp4", "durations ten times too long", lying_mp4, duration_s=20),
    case("says_0.2_s.mp4", "durations ten times too short", lying_mp4, duration_s=0.2),
    case("says_nothing.mp4", "durations of 0", lying_mp4, duration_s=0),
    case("says_20_s.mkv", "a duration ten times too long", lying_mkv, factor=10),
    case("says_0.2_s.mkv", "a duration ten times too short", lying_mkv, factor=0.1),
    case("says_480_frames.avi", "ten times as many frames as there are", lying_avi, num_frames=480),
    case("says_5_frames.avi", "fewer frames than there are", lying_avi, num_frames=5),
    case("no_index.avi", "no index", avi_without_index),
    case("short_stts.mp4", "times for 40 of 48 samples", short_stts),
    *(
        case(
            f"every_packet_a_key_{name}",
            "every frame claims to be a key frame",
            every_packet_a_key,
            **settings,
        )
        for name, settings in {
            "h264.mp4": B_FRAMES,
            "h264.mkv": B_FRAMES,
            "hevc.mkv": OPEN_HEVC,
            "vp9.webm": VP9,
            "vp8.webm": VP8,
            "mpeg4.avi": {"codec": "mpeg4"},
        }.items()
    ),
    case("one_packet_a_key.mp4", "key frames that are not marked", one_packet_a_key, **B_FRAMES),
    case("one_packet_a_key.mkv", "key frames that are not marked", one_packet_a_key, **B_FRAMES),
    case("piped.mkv", "no duration, no index", streamed, format="matroska", bframes=2),
    case("piped.webm", "no duration, no index", streamed, format="webm", **VP9),
    case(
        "fragments.mp4",
        "no sample table: an index in each fragment",
        file_options={"movflags": "+frag_keyframe+empty_moov+default_base_moof"},
        **B_FRAMES,
    ),
    case(
        "fragments_of_frames.mp4",
        "a fragment for each frame",
        file_options={"movflags": "+frag_every_frame+empty_moov"},
        **B_FRAMES,
    ),
    case(
        "index_first.mp4",
        "the index lies in front",
        file_options={"movflags": "+faststart"},
        **B_FRAMES,
    ),
    case("starts_midway.mkv", "the first key frame is not there", cut_at_front, packets=5),
    case(
        "starts_midway_refresh.mkv",
        "the first packets only renew the picture, and show nothing",
        cut_at_front,
        num_frames=30,
        width=80,
        height=64,
        pts=IRREGULAR,
        options=REFRESH_ALONE,
    ),
    case(
        "starts_midway_refresh.mp4",
        "the same where the index tells of packets",
        cut_at_front,
        num_frames=30,
        width=80,
        height=64,
        pts=IRREGULAR,
        options=REFRESH_ALONE,
    ),
    case(
        "starts_midway_b_frames.mkv", "the same with B-frames", cut_at_front, packets=5, **B_FRAMES
    ),
    case("starts_midway.ts", "the first key frame is not there", cut_ts_at_front, gop=12),
    case("starts_midway.mpg", "the first key frame is not there", cut_at_front, packets=5, **MPEG2),
    case(
        "starts_open_h264.mkv",
        "the first key frame's leading frames refer to nothing",
        cut_at_front,
        **OPEN_H264,
    ),
    case("starts_open_hevc.mkv", "the same: decoders drop them", cut_at_front, **OPEN_HEVC),
)

SHAPES = (
    *(
        case(
            f"turned_{degrees}{'_mirrored' * mirrored}.mp4",
            "stored in another orientation than shown",
            width=80,
            bframes=2,
            rotate=(degrees, mirrored, False),
        )
        for degrees in (0, 90, 180, 270)
        for mirrored in (False, True)
        if degrees or mirrored
    ),
    case("upside_down.mov", "mirrored along the other axis", rotate=(0, False, True)),
    case(
        "turned.mkv",
        "a turn that Matroska keeps as a projection",
        width=80,
        rotate=(90, False, False),
    ),
    case(
        "turned_odd.mp4",
        "turned, with odd sides",
        width=65,
        height=49,
        pix_fmt="yuv444p",
        rotate=(90, False, False),
    ),
    case(
        "turned_wide_samples.mp4",
        "samples are wide before the turn",
        width=80,
        aspect=Fraction(4, 3),
        rotate=(90, False, False),
    ),
    case("wide_samples.mp4", "samples that are no squares", aspect=Fraction(4, 3)),
    case("narrow_samples.mkv", "the same, narrow", aspect=Fraction(8, 9)),
    case(
        "wide_samples.mpg", "the same, by the picture's own ratio", aspect=Fraction(4, 3), **MPEG2
    ),
    case("wide_samples.avi", "the same, in the codec's header only", aspect=Fraction(4, 3)),
    case("odd_444.mp4", "odd sides", width=65, height=49, pix_fmt="yuv444p"),
    case("odd_hevc.mp4", "odd sides", width=65, height=49, pix_fmt="yuv444p", **HEVC),
    case("odd_vp8.webm", "odd sides with halved colour", width=65, height=49, **VP8),
    case("odd_vp9.webm", "odd sides with halved colour", width=65, height=49, **VP9),
    case("odd_av1.mp4", "odd sides with halved colour", **(AV1 | {"width": 97, "height": 65})),
    case("odd_mpeg2.mpg", "odd sides with halved colour", width=65, height=49, **MPEG2),
    case("odd_mjpeg.avi", "odd sides with halved colour", width=65, height=49, **MJPEG),
    case("odd.gif", "odd sides", width=65, height=49, codec="gif", pix_fmt="rgb8"),
    case(
        "size_changes.ts",
        "the picture's size changes midway",
        joined,
        parts=[{"bframes": 2}, {"bframes": 2, "width": 96, "height": 80, "pts": range(100, 148)}],
    ),
    case("one_frame.mp4", "one frame", num_frames=1),
    case("one_frame.webm", "one frame", num_frames=1, **VP9),
    case("one_frame.ts", "one frame, whose duration nothing tells", num_frames=1),
    case("one_frame.avi", "one frame", num_frames=1, codec="mpeg4"),
    case("one_frame.gif", "one frame", num_frames=1, codec="gif", pix_fmt="rgb8"),
    case("two_frames.mp4", "two frames", num_frames=2, bframes=2),
    case("two_frames.mkv", "two frames", num_frames=2, bframes=2),
    case("two_frames.mpg", "two frames", num_frames=2, **MPEG2),
)

PIXELS = (
    case("422.mp4", "4:2:2", pix_fmt="yuv422p"),
    case("444.mp4", "4:4:4", pix_fmt="yuv444p"),
    case("10_bit.mp4", "10 bit", pix_fmt="yuv420p10le", bframes=2),
    case("10_bit_422.mkv", "10 bit 4:2:2", pix_fmt="yuv422p10le"),
    case("10_bit_hevc.mp4", "10 bit", pix_fmt="yuv420p10le", **HEVC),
    case("10_bit_av1.mp4", "10 bit", pix_fmt="yuv420p10le", **AV1),
    case("12_bit_444_hevc.mp4", "12 bit 4:4:4", pix_fmt="yuv444p12le", **HEVC),
    case("12_bit_422_hevc.mkv", "12 bit 4:2:2", pix_fmt="yuv422p12le", **HEVC),
    case("grey.mp4", "no colour", pix_fmt="gray"),
    case("grey_10_bit.mp4", "no colour, 10 bit", pix_fmt="gray10le"),
    case("grey_hevc.mp4", "no colour", pix_fmt="gray", **HEVC),
    case("grey_ffv1.mkv", "no colour", pix_fmt="gray", codec="ffv1"),
    case("alpha_vp9.webm", "alpha in a stream beside", pix_fmt="yuva420p", **VP9),
    case("alpha_vp8.webm", "alpha in a stream beside", pix_fmt="yuva420p", **VP8),
    case("alpha_prores.mov", "alpha, 10 bit", codec="prores_ks", pix_fmt="yuva444p10le"),
    case("alpha_png.mov", "alpha, packed RGB", codec="png", pix_fmt="rgba"),
    case("alpha_ffv1.mkv", "alpha, planes", codec="ffv1", pix_fmt="yuva420p"),
    case("rgb_x265.mp4", "planes of RGB", pix_fmt="gbrp", **HEVC),
    case("rgb_ffv1.mkv", "packed RGB", codec="ffv1", pix_fmt="bgr0"),
    case("440_vp9.webm", "4:4:0", pix_fmt="yuv440p", **VP9),
    case("422_mpeg2.ts", "4:2:2", pix_fmt="yuv422p", **MPEG2),
    case("full_range.mp4", "full range by its format's name", pix_fmt="yuvj420p"),
    *(
        case(
            f"{name}_{'full' if range == FULL else 'limited'}.mp4",
            "the matrix and range are tagged",
            colour=colours(space=space, range=range),
        )
        for name, space in (("bt601", BT601), ("bt709", BT709), ("bt2020", BT2020))
        for range in (LIMITED, FULL)
    ),
    case("bt709.webm", "the matrix is in the codec's header", colour=colours(space=BT709), **VP9),
    case(
        "bt709_full.mkv",
        "the matrix and range are in the container's header",
        colour=colours(space=BT709, range=FULL),
    ),
    case("bt709.mpg", "the matrix is in an extension", colour=colours(space=BT709), **MPEG2),
    case(
        "pq.mp4",
        "HDR: a player maps its tones",
        flags=("hdr",),
        pix_fmt="yuv420p10le",
        colour=colours(space=BT2020, trc=PQ),
        **HEVC,
    ),
    case(
        "hlg.mp4",
        "HDR of broadcasters",
        flags=("hdr",),
        pix_fmt="yuv420p10le",
        colour=colours(space=BT2020, trc=HLG),
        **HEVC,
    ),
    case(
        "pq_h264.mkv",
        "HDR in an old codec",
        flags=("hdr",),
        pix_fmt="yuv420p10le",
        colour=colours(space=BT2020, trc=PQ),
    ),
    case(
        "pq_av1.mp4",
        "HDR in a new codec",
        flags=("hdr",),
        pix_fmt="yuv420p10le",
        colour=colours(space=BT2020, trc=PQ),
        **AV1,
    ),
    case(
        "hlg_vp9.webm",
        "HDR that only the container tells",
        flags=("hdr",),
        colour=colours(space=BT2020, trc=HLG),
        **VP9,
    ),
    case(
        "interlaced.mpg",
        "two fields in a frame",
        flags=("interlaced",),
        options=INTERLACED,
        **MPEG2,
    ),
    case(
        "interlaced.ts",
        "two fields in a frame",
        flags=("interlaced",),
        options={"x264-params": "tff=1"},
        bframes=2,
    ),
    case(
        "interlaced.mkv",
        "two fields in a frame, the lower first",
        flags=("interlaced",),
        options={"x264-params": "bff=1"},
        bframes=2,
    ),
)

STREAMS = (
    case("two_videos.mp4", "two videos: the first is read, not the largest", two_videos),
    case("two_videos.mkv", "the same", two_videos),
    case("cover.mp4", "a cover beside the video", mp4_with_cover),
    case("cover.mkv", "a cover attached to the video", mkv_with_cover),
    case(
        "sound_longer.mp4",
        "sound goes on after the picture",
        sound_and_picture,
        sound_s=4,
        bframes=2,
    ),
    case("sound_longer.mkv", "the same", sound_and_picture, sound_s=4, bframes=2),
    case("sound_longer.mpg", "the same", sound_and_picture, sound_s=4, **MPEG2),
    case("sound_longer.webm", "the same", sound_and_picture, sound_s=4, **VP9),
    case(
        "sound_first.ts",
        "sound begins before the picture",
        sound_and_picture,
        sound_s=3,
        sound_first=True,
        bframes=2,
        pts=range(20, 68),
    ),
    case("sound_only.mp4", "no picture at all", sound_only, error="NoVideoStream"),
    case("sound_only.mkv", "no picture at all", sound_only, error="NoVideoStream"),
    case("cover.mp3", "a cover is no video", sound_with_cover, error="NoVideoStream"),
    case("no_bytes.mp4", "an empty file", no_bytes, error="InvalidDataError"),
    case("no_video.mp4", "a text", no_video_at_all, error="InvalidDataError"),
)

_ANY = "a name is bytes, not words"
NAMES = (
    case("-dash.mp4", "not an option"),
    case("a:b.mp4", "not a protocol"),
    case("concat:a|b.mp4", "not a protocol"),
    case("pipe:0.mp4", "not a protocol"),
    case("sp ace 'quote' \"two\" 全角 # ? %20 & $(x) ; * [1] {a,b} ~ :.mp4", _ANY),
    case("%03d.gif", "not a pattern of many files", codec="gif", pix_fmt="rgb8"),
    case("new\nline\ttab.mp4", _ANY),
    case(os.fsdecode(b"latin-\xe9\xff.mp4"), "no UTF-8"),
    case("e\u0301\u202e\U0001f3ac.mkv", "combining, turning and wide characters"),
    case("no suffix", "the container is known by its bytes", format="mp4"),
    case("wrong_suffix.txt", "the container is known by its bytes", format="matroska"),
    case("n" * 240 + ".mp4", "a name as long as they get"),
    case(" .mp4", "a name of a space"),
)

FRONT = {"file_options": {"movflags": "+faststart"}}
TRUNCATED = (
    case(
        "cut.mp4",
        "the index names frames that are not there",
        cut_at_end,
        error="Truncated",
        **FRONT,
        **B_FRAMES,
    ),
    case("cut.mov", "the same", cut_at_end, error="Truncated", **FRONT, **B_FRAMES),
    case(
        "cut.mkv", "the segment is longer than the file", cut_at_end, error="Truncated", **B_FRAMES
    ),
    case("cut.webm", "the segment is longer than the file", cut_at_end, error="Truncated", **VP9),
    case(
        "cut.avi",
        "the chunk is longer than the file",
        cut_at_end,
        error="Truncated",
        share=0.8,
        **MPEG4,
    ),
    case(
        "cut.ts",
        "the last packet is not whole",
        cut_at_end,
        share=0.61,
        error="Truncated",
        **B_FRAMES,
    ),
    case("cut.mpg", "an end code is not always there: nothing tells", cut_at_end, **MPEG2),
    case("cut.gif", "no trailer", cut_at_end, error="Truncated", codec="gif", pix_fmt="rgb8"),
    case(
        "cut_fragments.mp4",
        "a fragment is not whole",
        cut_at_end,
        error="Truncated",
        file_options={"movflags": "+frag_keyframe+empty_moov+default_base_moof"},
        **B_FRAMES,
    ),
)
"""Files that end too early: refused where they tell, unless they are asked for."""

ZOO: tuple[Case, ...] = (*CODECS, *TIMES, *LIES, *SHAPES, *PIXELS, *STREAMS, *NAMES)
