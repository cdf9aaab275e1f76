"""An open video file, and its packets before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from videoproc import storage
from videoproc.media.container import HEAD_BYTES, promised_bytes
from videoproc.media.errors import MediaError, from_ffmpeg
from videoproc.media.limits import Limits
from videoproc.media.plan import PacketTable
from videoproc.storage import Anywhere, RemotePath

HELD_BYTES = 64 << 20
"""Packets of files up to this size are kept in memory: a visit then is no seek and no reading."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An open container and its first real video stream."""

    place: Anywhere
    container: InputContainer
    stream: VideoStream

    @property
    def codec(self) -> str:
        return self.stream.codec_context.codec.canonical_name

    @property
    def sample_aspect(self) -> Fraction | None:
        return self.stream.sample_aspect_ratio

    @property
    def rate(self) -> Fraction | None:
        return self.stream.average_rate or self.stream.guessed_rate


@contextmanager
def open_source(
    uri: str | Path | RemotePath, *, limits: Limits, is_sparse: bool = True
) -> Iterator[Source]:
    """Open the video at `uri` for one thread; closed at the end.

    is_sparse: leave out what FFmpeg decodes to learn of a file's streams, where its header tells;
    a decoder then may not know at first how far frames are reordered, and drop some that come out
    before it does. Raises MediaError for whatever FFmpeg says within the block.
    """
    place = storage.at(uri)
    try:
        with closing(_open(place, is_sparse=is_sparse)) as container:
            stream = _first_video(container)
            for other in container.streams:
                if other.index != stream.index:
                    other.discard = Discard.all
            context = stream.codec_context
            limits.check_pixels(context.width * context.height)
            context.thread_type, context.thread_count = "NONE", 1
            # The picture may grow in mid-stream.
            context.options = {"max_pixels": str(limits.max_pixels)}
            yield Source(place=place, container=container, stream=stream)
    except av.FFmpegError as error:
        raise from_ffmpeg(error) from error


KNOWN_BY_HEADER = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers whose headers say all that is needed of their streams."""


def _open(place: Anywhere, *, is_sparse: bool) -> InputContainer:
    if is_sparse:
        container = _open_with(place, skip_frame="all")  # saves 3 of 40 ms for a clip of 2 s
        if container.format.name in KNOWN_BY_HEADER:
            return container
        container.close()
    return _open_with(place)


def _open_with(place: Anywhere, **options: str) -> InputContainer:
    return av.open(
        # An absolute path cannot be taken for a protocol ("a:b.mp4") or an option.
        str(place.absolute()) if isinstance(place, Path) else place.open("rb"),
        metadata_errors="replace",
        # A playlist named .mp4 must not make the decoder fetch from the network.
        options={"protocol_whitelist": "file", **options},
    )


def _first_video(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.time_base:
            return stream
    raise MediaError("NoVideoStream", "the file has no video stream")


@dataclass(frozen=True, kw_only=True)
class Packets:
    """What one pass over a file's packets has found.

    table: None where packets do not tell which frames will appear, and when. held: the packets
    themselves, where the file is small. missing: what the file promises and does not hold.
    """

    table: PacketTable | None
    held: list[av.Packet] | None
    missing: str | None


@dataclass(kw_only=True)
class _Columns:
    pts: list[int] = field(default_factory=list)
    is_key: list[bool] = field(default_factory=list)
    is_shown: list[bool] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    """For how long it is shown; 0 where unsaid."""

    def drop_last(self) -> None:
        for column in (self.pts, self.is_key, self.is_shown, self.ticks):
            column.pop()


def read_packets(source: Source, *, limits: Limits) -> Packets:
    """Demux the file to its end."""
    columns = _Columns()
    held: list[av.Packet] | None = []
    held_bytes = num_packets = num_corrupt = 0
    has_times, packet_is_cut = True, False
    is_vp8 = source.codec == "vp8"
    for packet in source.container.demux(source.stream):
        size = packet.size
        if size == 0:  # the demuxer's mark of the end
            continue
        num_packets += 1
        limits.check_frames(num_packets)
        if held is not None:
            held_bytes += size
            held.append(packet)
            if held_bytes > HELD_BYTES:
                held = None
        pts = packet.pts
        if pts is None:
            has_times = False
            continue
        packet_is_cut = packet.is_corrupt
        num_corrupt += packet_is_cut
        # VP8 stores frames that are only referred to as packets of their own, without a mark:
        # show_frame, RFC 6386 section 9.1.
        is_shown = not packet.is_discard and not (is_vp8 and not bytes(packet)[0] & 0x10)
        columns.pts.append(pts)
        columns.is_key.append(packet.is_keyframe)
        columns.is_shown.append(is_shown)
        columns.ticks.append(packet.duration or 0)
    missing = _missing(source, num_packets)
    if missing and num_corrupt == 1 and packet_is_cut:
        num_corrupt = 0
        columns.drop_last()  # the file ends within it
    return Packets(
        table=_table(source, columns) if has_times and not num_corrupt else None,
        held=held,
        missing=missing,
    )


def _table(source: Source, columns: _Columns) -> PacketTable | None:
    """None where there are none, or their times or marks cannot be right."""
    if not columns.pts:
        return None
    pts = np.array(columns.pts, dtype=np.int64)
    is_key = np.array(columns.is_key, dtype=bool)
    is_shown = np.array(columns.is_shown, dtype=bool)
    shown_pts, key_pts = np.unique(pts[is_shown]), pts[is_key]
    # AVI stores no times. FFmpeg guesses them, wrongly where frames are reordered.
    has_times = (
        source.container.format.name != "avi"
        or bool(is_key.all())
        or not source.stream.codec_context.has_b_frames
    )
    if not (
        has_times
        and is_key[0]
        and len(shown_pts)
        and len(shown_pts) == is_shown.sum()
        and (np.diff(key_pts) > 0).all()
        # Frames shown before the first key frame refer to nothing: who knows which appear.
        and key_pts[0] <= shown_pts[0]
    ):
        return None
    assert source.stream.time_base is not None
    # Packets come in the order of decoding: the one shown last need not be the last.
    last_ticks = columns.ticks[int(np.argmax(np.where(is_shown, pts, shown_pts[0])))]
    return PacketTable(
        pts=pts,
        is_key=is_key,
        is_shown=is_shown,
        time_base=source.stream.time_base,
        end_pts=end_of(source, shown_pts, last_ticks=last_ticks),
    )


def end_of(source: Source, frame_pts: np.ndarray, *, last_ticks: int) -> int:
    """When the last frame's display ends: it stays for the mean where its duration is unsaid."""
    first, last = int(frame_pts[0]), int(frame_pts[-1])
    if last_ticks <= 0 and len(frame_pts) > 1:
        last_ticks = max(1, round((last - first) / (len(frame_pts) - 1)))
    elif last_ticks <= 0:
        assert source.stream.time_base is not None
        last_ticks = max(1, round(1 / ((source.rate or Fraction(1)) * source.stream.time_base)))
    return last + last_ticks


def _missing(source: Source, num_packets: int) -> str | None:
    num_promised = len(source.stream.index_entries)
    if num_packets < num_promised:
        return f"the file's index names {num_promised} frames, {num_packets} are there"
    with source.place.open("rb") as file:
        promised = promised_bytes(file.read(HEAD_BYTES))
    if promised and source.container.size < promised:
        return f"the file promises {promised} bytes, {source.container.size} are there"
    return None
