"""An open video file, and its packets before anything is decoded."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from videoproc import storage
from videoproc.media import h264
from videoproc.media.container import cut_short
from videoproc.media.cost import Cost
from videoproc.media.errors import MediaError, from_ffmpeg
from videoproc.media.limits import Limits
from videoproc.media.picture import MAX_SIDE_PX
from videoproc.media.plan import PacketTable
from videoproc.media.remote import find_media_data, open_for_times
from videoproc.remote import RangeFile
from videoproc.storage import RemotePath

OPTIONS = {"protocol_whitelist": "file"}
"""A playlist named .mp4 must not make the decoder fetch from the network."""

HELD_BYTES = 64 << 20
"""Packets are kept in memory up to this size: a visit then is no seek and no reading."""
PACKET_BYTES = 600  # of memory that a packet takes beside its content


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
        chunks = []
        with _staying(self.file):
            self.file.seek(start)
            while num_bytes > 0 and (chunk := self.file.read(num_bytes)):
                chunks.append(chunk)
                num_bytes -= len(chunk)
        return b"".join(chunks)

    def plan(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Say which bytes of a remote file will be read, [start, stop) each."""
        if isinstance(self.file, RangeFile):
            self.file.plan(ranges)

    def packets_from_start(self, packets: Packets) -> Iterator[av.Packet]:
        """The packets once more, of the file opened anew: raw streams cannot be sought."""
        if packets.held is not None:
            yield from packets.held
            return
        with ExitStack() as opened:
            if isinstance(self.file, RangeFile):
                opened.enter_context(_staying(self.file))
                self.file.seek(0)
            container = _open(self.file, is_sparse=True)
            opened.callback(container.close)
            stream = container.streams[self.stream.index]
            _discard_others(container, stream)
            yield from (packet for packet in container.demux(stream) if packet.size)


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
            storage.refuse_devices(place)
            file = place if isinstance(place, Path) else storage.open_ranges(place)
            if isinstance(file, RangeFile):
                opened.callback(_close, file, cost)
            container = _open(file, is_sparse=is_sparse)
            opened.callback(container.close)
            if container.format.name == "tty":  # FFmpeg shows any text as one
                raise MediaError("NoVideoStream", "the file is text")
            stream = _first_video(container)
            _discard_others(container, stream)
            context = stream.codec_context
            if context is None:
                raise MediaError("NoDecoder", "FFmpeg has no decoder for the video stream")
            limits.check_pixels(context.width * context.height)
            context.thread_type, context.thread_count = "NONE", 1
            # The picture may grow in mid-stream. FFmpeg counts what it pads, too.
            context.options = {"max_pixels": str(min(2 * limits.max_pixels, MAX_SIDE_PX))}
            yield Source(file=file, container=container, stream=stream)
        except av.FFmpegError as error:
            raise from_ffmpeg(error) from error
        except OSError as error:  # what the place says
            raise MediaError(type(error).__name__, str(error)) from error
        except MediaError as error:
            if not hasattr(error, "__notes__"):  # for who reads the traceback
                error.add_note(f"in {storage.shown(place)}")
            raise


def _close(file: RangeFile, cost: Cost | None) -> None:
    if cost is not None:
        cost.bytes_fetched += file.bytes_fetched
    file.close()


def _discard_others(container: InputContainer, stream: Stream) -> None:
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
    themselves, where the file is small. first: what is in the first. places: (N, 2) bytes
    [start, stop) of the file that each packet takes; where these are given, nothing was read of
    what is in them, and `first` is empty. missing: what the file promises and does not hold.
    """

    table: PacketTable | None
    held: list[av.Packet] | None
    first: bytes
    places: np.ndarray | None
    missing: str | None

    def let_go(self) -> None:
        """Packets and their container hold each other, and all their memory, until collected."""
        if self.held is not None:
            self.held.clear()


class _Columns:
    """What is noted of each packet: plain numbers, since a day of video has millions of packets.

    ticks: for how long it is shown; 0 where unsaid. starts and stops: its bytes in the file.
    """

    def __init__(self, *, is_vp8: bool) -> None:
        self._is_vp8 = is_vp8
        self.pts, self.dts, self.ticks = array("q"), array("q"), array("q")
        self.starts, self.stops = array("q"), array("q")
        self.is_key, self.is_shown = array("b"), array("b")

    def note(self, packet: av.Packet, *, pts: int) -> None:
        # VP8 stores frames that are only referred to as packets of their own, without a mark:
        # show_frame, RFC 6386 section 9.1.
        is_hidden = packet.is_discard or (self._is_vp8 and not memoryview(packet)[0] & 0x10)
        start = packet.pos or 0
        self.pts.append(pts)
        self.dts.append(pts if packet.dts is None else packet.dts)
        self.ticks.append(packet.duration or 0)
        self.starts.append(start)
        self.stops.append(start + packet.size)
        self.is_key.append(packet.is_keyframe)
        self.is_shown.append(not is_hidden)

    def drop_last(self) -> None:
        for column in vars(self).values():
            if isinstance(column, array):
                column.pop()

    def places(self) -> np.ndarray:
        """(N, 2) bytes [start, stop)."""
        return np.column_stack([np.array(self.starts), np.array(self.stops)])


def read_packets(source: Source, *, limits: Limits) -> Packets:
    """Demux the file to its end; of a remote MP4 only what its index says of the packets."""
    packets = _read_packets(source, limits=limits)
    if packets.table is not None and _begins_late(source, packets):
        return replace(packets, table=None)
    return packets


def _read_packets(source: Source, *, limits: Limits) -> Packets:
    if isinstance(source.file, RangeFile):
        with _staying(source.file):
            if find_media_data(source.file).ranges:
                with open_for_times(source.file, options=OPTIONS | SPARSE) as container:
                    return _walk(source, container, limits=limits, holds=False)
    return _walk(source, source.container, limits=limits, holds=True)


def _walk(source: Source, container: InputContainer, *, limits: Limits, holds: bool) -> Packets:
    columns = _Columns(is_vp8=source.codec == "vp8")
    held: list[av.Packet] | None = [] if holds else None
    held_bytes = num_packets = num_corrupt = 0
    has_times, is_cut, first = True, False, b""
    stream = container.streams[source.stream.index]
    assert isinstance(stream, VideoStream)
    _discard_others(container, stream)
    for packet in container.demux(stream):
        size = packet.size
        if size == 0:  # the demuxer's mark of the end
            continue
        num_packets += 1
        limits.check_frames(num_packets)
        if holds and num_packets == 1:
            first = bytes(packet)
        if held is not None:
            held_bytes += size + PACKET_BYTES
            held.append(packet)
            if held_bytes > HELD_BYTES:
                held = None
        pts = packet.pts
        if pts is None:
            has_times = False
            continue
        is_cut = packet.is_corrupt
        num_corrupt += is_cut
        columns.note(packet, pts=pts)
    missing = _missing(source, stream, num_packets)
    if num_corrupt == 1 and is_cut:
        num_corrupt, missing = 0, missing or "the last packet is not whole"
        columns.drop_last()
    return Packets(
        table=_table(source, columns) if has_times and not num_corrupt else None,
        held=held,
        first=first,
        places=None if holds else columns.places(),
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
    # AVI stores no times of presentation. FFmpeg makes them up, wrongly where frames are reordered,
    # and for H.264 also where some are left out: then they do not keep step with those of decoding.
    has_times = source.container.format.name != "avi" or (
        (bool(is_key.all()) or not source.stream.codec_context.has_b_frames)
        and len(np.unique(pts - np.array(columns.dts))) == 1
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


def _begins_late(source: Source, packets: Packets) -> bool:
    """Whether a H.264 file begins with a frame that refers to others: some will not be shown."""
    if source.codec != "h264":
        return False
    first = packets.first
    if packets.places is not None:
        start, stop = packets.places[0].tolist()
        first = source.bytes_at(start, stop - start)
    extradata = source.stream.codec_context.extradata or b""
    return h264.IDR not in h264.nal_types(first, extradata=extradata)


def _missing(source: Source, stream: VideoStream, num_packets: int) -> str | None:
    num_promised = len(stream.index_entries)
    if num_packets < num_promised:
        return f"the file's index names {num_promised} frames, {num_packets} are there"
    return cut_short(source.bytes_at, size_bytes=source.container.size)
