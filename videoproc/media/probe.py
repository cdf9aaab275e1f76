"""What a video file holds, learnt from its packets before anything is decoded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from videoproc import storage
from videoproc.media.errors import MediaError, from_ffmpeg
from videoproc.storage import RemotePath


@dataclass(frozen=True, kw_only=True)
class Header:
    """A video in six facts; width and height are as displayed, fps is the average rate."""

    codec: str
    width: int
    height: int
    fps: float
    num_frames: int
    duration_s: float


@dataclass(frozen=True, kw_only=True)
class PacketIndex:
    """The frames that decoding will deliver, and the key frames they can be reached from.

    frame_pts: int64, ascending, unique; ticks of `time_base`. keyframe_pts: likewise.
    is_reliable: False where the packets did not tell and the file was decoded once to learn
    the frames; then frames are told apart by their order, and `frame_pts` may be made up.
    """

    header: Header
    time_base: Fraction
    frame_pts: np.ndarray
    keyframe_pts: np.ndarray
    is_reliable: bool


@contextmanager
def open_video(path: str | Path | RemotePath) -> Iterator[tuple[InputContainer, VideoStream]]:
    """The container and its first real video stream, one thread, closed at the end.

    Raises MediaError for whatever FFmpeg says within the block.
    """
    place = storage.at(path)
    # An absolute path cannot be taken for a protocol ("a:b.mp4") or an option.
    source = str(place.absolute()) if isinstance(place, Path) else place.open("rb")
    try:
        with closing(
            av.open(
                source,
                metadata_errors="replace",
                # A playlist named .mp4 must not make the decoder fetch from the network.
                options={"protocol_whitelist": "file"},
            )
        ) as container:
            stream = _first_video(container)
            stream.codec_context.thread_type = "NONE"
            yield container, stream
    except av.FFmpegError as error:
        raise from_ffmpeg(error) from error


def probe(path: str | Path) -> Header:
    """What the file at `path` holds. Raises MediaError."""
    return read_index(path).header


def read_index(path: str | Path) -> PacketIndex:
    """Demux the whole file; decode its first frame, or all where packets do not tell.

    Raises MediaError.
    """
    with open_video(path) as (container, stream):
        scan = _scan_packets(container, stream)
        if scan.num_packets < len(stream.index_entries):
            raise MediaError(
                "MissingFrames",
                f"the file's index names {len(stream.index_entries)} frames, "
                f"{scan.num_packets} are there",
            )
    if scan.is_reliable:
        return _index(scan, frame_pts=np.unique(scan.shown_pts), is_reliable=True)
    with open_video(path) as (container, stream):
        scan, frame_pts = _scan_frames(container, stream)
    return _index(scan, frame_pts=frame_pts, is_reliable=False)


@dataclass(kw_only=True)
class _Scan:
    """What one pass over the packets has seen so far."""

    codec: str
    time_base: Fraction
    rate: Fraction | None
    shape: tuple[int, int] | None = None
    """Height and width of the first frame, as displayed."""
    shown_pts: list[int] = field(default_factory=list)
    keyframe_pts: list[int] = field(default_factory=list)
    last_shown: tuple[int, int] | None = None
    """When the frame shown last appears, and for how many ticks; 0 where unsaid."""
    num_packets: int = 0
    is_complete: bool = True
    """Whether every packet is whole and has a time of its own."""
    stores_pts: bool = True
    """AVI stores none: FFmpeg guesses them, wrongly for H.264 with B-frames."""

    @property
    def is_reliable(self) -> bool:
        pts, keys = self.shown_pts, self.keyframe_pts
        return (
            self.is_complete
            and bool(pts and keys)
            and (self.stores_pts or len(keys) == self.num_packets)
            and len(set(pts)) == len(pts)
            # Frames shown before the first key frame refer to nothing: who knows which appear.
            and min(keys) <= min(pts)
        )


def _first_video(container: InputContainer) -> VideoStream:
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic and stream.time_base:
            return stream
    raise MediaError("NoVideoStream", "the file has no video stream")


def _new_scan(container: InputContainer, stream: VideoStream) -> _Scan:
    assert stream.time_base is not None
    return _Scan(
        codec=stream.codec_context.codec.canonical_name,
        time_base=stream.time_base,
        rate=stream.average_rate or stream.guessed_rate,
        stores_pts=container.format.name != "avi",
    )


def displayed_shape(frame: av.VideoFrame) -> tuple[int, int]:
    """Height and width of a frame after its rotation."""
    if frame.rotation % 180:
        return frame.width, frame.height
    return frame.height, frame.width


def _scan_packets(container: InputContainer, stream: VideoStream) -> _Scan:
    scan = _new_scan(container, stream)
    for packet in container.demux(stream):
        if scan.shape is None:
            for frame in packet.decode():
                scan.shape = displayed_shape(frame)
        if packet.size == 0:  # the demuxer's mark of the end
            continue
        scan.is_complete &= not packet.is_corrupt and (packet.is_keyframe or scan.num_packets > 0)
        scan.num_packets += 1
        _note_packet(scan, packet)
    return scan


def _note_packet(scan: _Scan, packet: av.Packet) -> None:
    if packet.pts is None:
        scan.is_complete = False
        return
    if packet.is_keyframe:
        scan.keyframe_pts.append(packet.pts)
    if packet.is_discard or not _is_shown(scan.codec, packet):
        return
    scan.shown_pts.append(packet.pts)
    # Packets come in the order of decoding: the one shown last need not be the last.
    scan.last_shown = max(scan.last_shown or (packet.pts, 0), (packet.pts, packet.duration or 0))


def _is_shown(codec: str, packet: av.Packet) -> bool:
    """VP8 stores frames that are only referred to as packets of their own, without a mark."""
    return codec != "vp8" or bool(bytes(packet)[0] & 0x10)  # show_frame, RFC 6386 section 9.1


def _scan_frames(container: InputContainer, stream: VideoStream) -> tuple[_Scan, np.ndarray]:
    """Decode everything; frames without a time, or out of order, follow the one before."""
    scan = _new_scan(container, stream)
    step = max(1, round(1 / (scan.rate * scan.time_base))) if scan.rate else 1
    frame_pts: list[int] = []
    for packet in container.demux(stream):
        for frame in packet.decode():
            scan.shape = scan.shape or displayed_shape(frame)
            if frame.pts is None:
                frame_pts.append(frame_pts[-1] + step if frame_pts else 0)
            else:
                frame_pts.append(max(frame.pts, frame_pts[-1] + 1) if frame_pts else frame.pts)
            scan.last_shown = (frame_pts[-1], frame.duration)
    return scan, np.array(frame_pts, dtype=np.int64)


def _index(scan: _Scan, *, frame_pts: np.ndarray, is_reliable: bool) -> PacketIndex:
    if scan.shape is None or len(frame_pts) == 0:
        raise MediaError("MissingFrames", "the video stream holds no frame that decodes")
    duration_s = float(_duration_ticks(scan, frame_pts) * scan.time_base)
    header = Header(
        codec=scan.codec,
        width=scan.shape[1],
        height=scan.shape[0],
        fps=len(frame_pts) / duration_s,
        num_frames=len(frame_pts),
        duration_s=duration_s,
    )
    return PacketIndex(
        header=header,
        time_base=scan.time_base,
        frame_pts=frame_pts.astype(np.int64),
        keyframe_pts=np.unique(np.array(scan.keyframe_pts, dtype=np.int64)),
        is_reliable=is_reliable,
    )


def _duration_ticks(scan: _Scan, frame_pts: np.ndarray) -> Fraction:
    """From the first frame's time to the end of the last, which stays the mean where unsaid."""
    shown = Fraction(int(frame_pts[-1] - frame_pts[0]))
    _, last_ticks = scan.last_shown or (0, 0)
    if last_ticks > 0:
        return shown + last_ticks
    if len(frame_pts) > 1:
        return shown + shown / (len(frame_pts) - 1)
    return 1 / ((scan.rate or Fraction(1)) * scan.time_base)
