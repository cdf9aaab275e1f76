"""An open video file, and its packets before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Discard, Disposition
from av.video.stream import VideoStream

from videoproc import storage
from videoproc.media import h264
from videoproc.media.container import cut_short
from videoproc.media.cost import Cost
from videoproc.media.errors import MediaError, from_ffmpeg
from videoproc.media.limits import Limits
from videoproc.media.plan import PacketTable
from videoproc.media.remote import find_media_data, open_for_times
from videoproc.remote import RangeFile
from videoproc.storage import RemotePath

OPTIONS = {"protocol_whitelist": "file"}
"""A playlist named .mp4 must not make the decoder fetch from the network."""

HELD_BYTES = 64 << 20
"""Packets of files up to this size are kept in memory: a visit then is no seek and no reading."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """An open container and its first real video stream."""

    file: Path | RangeFile
    container: InputContainer
    stream: VideoStream

    @property
    def codec(self) -> str:
        return self.stream.codec_context.codec.canonical_name

    @property
    def sample_aspect(self) -> Fraction | None:
        # What only the codec's own header says is known when a frame has been decoded.
        return self.stream.sample_aspect_ratio or self.stream.codec_context.sample_aspect_ratio

    @property
    def rate(self) -> Fraction | None:
        return self.stream.average_rate or self.stream.guessed_rate

    def bytes_at(self, start: int, num_bytes: int) -> bytes:
        """Some bytes of the file."""
        if isinstance(self.file, Path):
            with self.file.open("rb") as file:
                file.seek(start)
                return file.read(num_bytes)
        with _staying(self.file):
            self.file.seek(start)
            return self.file.read(num_bytes)

    def plan(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Say which bytes of a remote file will be read, [start, stop) each."""
        if isinstance(self.file, RangeFile):
            self.file.plan(ranges)

    def packets_from_start(self, packets: Packets) -> Iterator[av.Packet]:
        """The packets once more."""
        if packets.held is not None:
            yield from packets.held
            return
        self.container.seek(0)
        yield from (packet for packet in self.container.demux(self.stream) if packet.size)


@contextmanager
def open_source(
    uri: str | Path | RemotePath,
    *,
    limits: Limits,
    cost: Cost | None = None,
    is_sparse: bool = True,
) -> Iterator[Source]:
    """Open the video at `uri` for one thread; closed at the end.

    is_sparse: leave out what FFmpeg decodes to learn of a file's streams, where its header tells;
    a decoder then may not know at first how far frames are reordered, and drop some that come out
    before it does. Raises MediaError for whatever FFmpeg says within the block.
    """
    place = storage.at(uri)
    with ExitStack() as opened:
        try:
            file = place if isinstance(place, Path) else storage.open_ranges(place)
            if isinstance(file, RangeFile):
                opened.callback(_close, file, cost)
            container = _open(file, is_sparse=is_sparse)
            opened.callback(container.close)
            stream = _first_video(container)
            _discard_others(container, stream)
            context = stream.codec_context
            limits.check_pixels(context.width * context.height)
            context.thread_type, context.thread_count = "NONE", 1
            # The picture may grow in mid-stream.
            context.options = {"max_pixels": str(limits.max_pixels)}
            yield Source(file=file, container=container, stream=stream)
        except av.FFmpegError as error:
            raise from_ffmpeg(error) from error
        except OSError as error:  # what a remote file says
            raise MediaError(type(error).__name__, str(error)) from error


def _close(file: RangeFile, cost: Cost | None) -> None:
    if cost is not None:
        cost.bytes_fetched += file.bytes_fetched
    file.close()


def _discard_others(container: InputContainer, stream: VideoStream) -> None:
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


SPARSE = {"skip_frame": "all", "probesize": str(64 << 10)}
"""Decode nothing to learn of a file's streams, which saves 3 of 40 ms for a clip of 2 s, and read
little: of a remote file FFmpeg would fetch up to 5 MB."""

KNOWN_BY_HEADER = frozenset({"mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm"})
"""Containers whose headers say all that is needed of their streams."""


def _open(file: Path | RangeFile, *, is_sparse: bool) -> InputContainer:
    if is_sparse:
        container = _open_with(file, SPARSE)
        if container.format.name in KNOWN_BY_HEADER:
            return container
        container.close()
        if isinstance(file, RangeFile):
            file.seek(0)
    return _open_with(file, {})


def _open_with(file: Path | RangeFile, options: dict[str, str]) -> InputContainer:
    return av.open(  # type: ignore[return-value]  # an input: nothing is written
        # An absolute path cannot be taken for a protocol ("a:b.mp4") or an option.
        str(file.absolute()) if isinstance(file, Path) else file,
        metadata_errors="replace",
        options=OPTIONS | options,
    )


@contextmanager
def _staying(file: RangeFile) -> Iterator[None]:
    """What reads `file` beside the container leaves it where the container believes it to be."""
    position = file.tell()
    try:
        yield
    finally:
        file.seek(position)


def _first_video(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.time_base:
            return stream
    raise MediaError("NoVideoStream", "the file has no video stream")


@dataclass(frozen=True, kw_only=True)
class Packets:
    """What one pass over a file's packets has found.

    table: None where packets do not tell which frames will appear, and when. held: the packets
    themselves, where the file is small. places: (N, 2) bytes [start, stop) of the file that each
    packet takes, where they were not read. missing: what the file promises and does not hold.
    """

    table: PacketTable | None
    held: list[av.Packet] | None
    places: np.ndarray | None
    missing: str | None


@dataclass(kw_only=True)
class _Columns:
    pts: list[int] = field(default_factory=list)
    is_key: list[bool] = field(default_factory=list)
    is_shown: list[bool] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    """For how long it is shown; 0 where unsaid."""
    places: list[tuple[int, int]] = field(default_factory=list)

    def drop_last(self) -> None:
        for column in (self.pts, self.is_key, self.is_shown, self.ticks, self.places):
            column.pop()


def read_packets(source: Source, *, limits: Limits) -> Packets:
    """Demux the file to its end; of a remote MP4 only what its index says of the packets."""
    if isinstance(source.file, RangeFile):
        with _staying(source.file):
            if find_media_data(source.file).ranges:
                with open_for_times(source.file, options=OPTIONS | SPARSE) as container:
                    return _walk(source, container, limits=limits, holds=False)
    return _walk(source, source.container, limits=limits, holds=True)


def _walk(source: Source, container: InputContainer, *, limits: Limits, holds: bool) -> Packets:
    columns = _Columns()
    held: list[av.Packet] | None = [] if holds else None
    held_bytes = num_packets = num_corrupt = 0
    has_times, is_cut = True, False
    is_vp8 = source.codec == "vp8"
    stream = container.streams[source.stream.index]
    assert isinstance(stream, VideoStream)
    _discard_others(container, stream)
    for packet in container.demux(stream):
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
        is_cut = packet.is_corrupt
        num_corrupt += is_cut
        # VP8 stores frames that are only referred to as packets of their own, without a mark:
        # show_frame, RFC 6386 section 9.1.
        is_shown = not packet.is_discard and not (is_vp8 and not bytes(packet)[0] & 0x10)
        columns.pts.append(pts)
        columns.is_key.append(packet.is_keyframe)
        columns.is_shown.append(is_shown)
        columns.ticks.append(packet.duration or 0)
        columns.places.append((packet.pos or 0, (packet.pos or 0) + size))
    missing = _missing(source, stream, num_packets)
    if num_corrupt == 1 and is_cut:
        num_corrupt, missing = 0, missing or "the last packet is not whole"
        columns.drop_last()
    is_told = has_times and not num_corrupt and not (held and _begins_late(source, held[0]))
    return Packets(
        table=_table(source, columns) if is_told else None,
        held=held,
        places=None if holds else np.array(columns.places, dtype=np.int64),
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


def _begins_late(source: Source, first: av.Packet) -> bool:
    """Whether a H.264 file begins with a frame that refers to others: some will not be shown."""
    if source.codec != "h264":
        return False
    extradata = source.stream.codec_context.extradata or b""
    return h264.IDR not in h264.nal_types(bytes(first), extradata=extradata)


def _missing(source: Source, stream: VideoStream, num_packets: int) -> str | None:
    num_promised = len(stream.index_entries)
    if num_packets < num_promised:
        return f"the file's index names {num_promised} frames, {num_packets} are there"
    return cut_short(source.bytes_at, size_bytes=source.container.size)
