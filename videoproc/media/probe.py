"""What a video file holds, learnt from its packets and its first frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorTrc

from videoproc.media.clock import Clock
from videoproc.media.cost import Cost
from videoproc.media.errors import MediaError
from videoproc.media.limits import Accept, Limits
from videoproc.media.picture import Size, displayed_size
from videoproc.media.sampling import Timeline
from videoproc.media.source import Packets, Source, end_of, open_source, read_packets
from videoproc.storage import RemotePath

HDR = "hdr"
INTERLACED = "interlaced"
TRUNCATED = "truncated"

HDR_TRANSFERS = frozenset({ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67})
"""PQ and HLG, as Recommendation ITU-R BT.2100 has them."""
PROGRESSIVE = frozenset({0, 1})  # of FFmpeg's field orders: unknown, and no fields


@dataclass(frozen=True, kw_only=True)
class Header:
    """A video in a few facts.

    width and height: pixels, as displayed (after rotation, with square pixels). fps: the average
    rate. num_frames: those that decoding shows. flags: "hdr", "interlaced", "truncated", sorted.
    """

    codec: str
    width: int
    height: int
    fps: float
    num_frames: int
    duration_s: float
    flags: tuple[str, ...] = ()


def probe(uri: str | Path | RemotePath, *, limits: Limits | None = None) -> Header:
    """What the video at `uri` holds. Raises MediaError.

    Reads all packets and decodes one frame, or all frames where packets do not tell.

    >>> import numpy as np
    >>> from videoproc.media import probe, write_video
    >>> write_video("example.mp4", np.zeros((50, 48, 64, 3), np.uint8), fps=25)
    >>> probe("example.mp4")
    Header(codec='h264', width=64, height=48, fps=25.0, num_frames=50, duration_s=2.0, flags=())
    """
    limits = limits or Limits()
    with open_source(uri, limits=limits) as source:
        packets = read_packets(source, limits=limits)
        first = _first_frame(source, packets)
        timeline = read_timeline(uri, packets, limits=limits)
        size = _size(source, first, limits=limits)
        return Header(
            codec=source.codec,
            width=size.width,
            height=size.height,
            fps=len(timeline.pts) / timeline.duration_s,
            num_frames=len(timeline.pts),
            duration_s=timeline.duration_s,
            flags=tuple(sorted(_flags(source, packets, first))),
        )


def read_timeline(
    uri: str | Path | RemotePath, packets: Packets, *, limits: Limits, cost: Cost | None = None
) -> Timeline:
    """The frames that decoding will show; the file is decoded once where packets do not tell.

    Then frames are told apart by their order, and their times may be made up. Raises MediaError.
    """
    if packets.table is not None:
        timeline = packets.table.timeline()
    else:
        is_truncated = packets.missing is not None
        with open_source(uri, limits=limits, cost=cost, is_sparse=False) as source:
            timeline = _decode_timeline(source, limits=limits, is_truncated=is_truncated)
    limits.check_duration(timeline.duration_s)
    return timeline


def refuse(source: Source, packets: Packets, *, accept: Accept) -> None:
    """Raises MediaError "Truncated" or "Refused" for material that `accept` does not take."""
    if packets.missing and not accept.truncated:
        raise MediaError("Truncated", packets.missing)
    if accept.hdr and accept.interlaced:
        return
    for name in sorted(_flags(source, packets, _first_frame(source, packets))):
        if not getattr(accept, name):
            raise MediaError("Refused", f"the video is {name}, and accept.{name} is false")


def size_of(source: Source, packets: Packets, *, limits: Limits) -> Size:
    """The size that the video is displayed in: that of its first frame. Raises MediaError."""
    return _size(source, _first_frame(source, packets), limits=limits)


def _size(source: Source, first: av.VideoFrame, *, limits: Limits) -> Size:
    size = displayed_size(first, sample_aspect=source.sample_aspect)
    limits.check_pixels(size.height * size.width)  # wide pixels make many of few
    return size


def _first_frame(source: Source, packets: Packets) -> av.VideoFrame:
    """The first frame that decodes. Leaves the decoder as new, the container anywhere."""
    context = source.stream.codec_context
    try:
        for packet in source.packets_from_start(packets):
            for frame in context.decode(packet):
                return frame
        for frame in context.decode(None):
            return frame
    finally:
        context.flush_buffers()
    raise MediaError("MissingFrames", "the video stream holds no frame that decodes")


def _flags(source: Source, packets: Packets, first: av.VideoFrame) -> set[str]:
    context = source.stream.codec_context
    flags = {TRUNCATED} if packets.missing else set()
    if context.color_trc in HDR_TRANSFERS or first.color_trc in HDR_TRANSFERS:
        flags.add(HDR)
    if first.interlaced_frame or context.field_order not in PROGRESSIVE:
        flags.add(INTERLACED)
    return flags


def _until_cut(source: Source) -> Iterator[av.VideoFrame]:
    """The frames before the first error: that is where the file ends."""
    with suppress(av.FFmpegError):
        yield from source.container.decode(source.stream)


def _decode_timeline(source: Source, *, limits: Limits, is_truncated: bool) -> Timeline:
    """Decode everything."""
    assert source.stream.time_base is not None
    step = max(1, round(1 / (source.rate * source.stream.time_base))) if source.rate else 1
    stores_pts = source.container.format.name != "avi"
    clock = Clock(stores_pts=stores_pts, step=step)
    stamps: list[int | None] = []
    told: list[int] = []
    is_key: list[bool] = []
    last_ticks = 0
    for frame in _until_cut(source) if is_truncated else source.container.decode(source.stream):
        limits.check_frames(len(told) + 1)
        stamps.append(frame.pts)
        told.append(clock.tell(frame))
        is_key.append(bool(frame.key_frame))
        last_ticks = frame.duration
    if not told:
        raise MediaError("MissingFrames", "the video stream holds no frame that decodes")
    # Frames that have times of their own are shown by them, whatever order they come in.
    has_times = stores_pts and None not in stamps and len(set(stamps)) == len(stamps)
    pts = np.array(stamps if has_times else told, dtype=np.int64)
    shown = np.argsort(pts)
    order = np.empty_like(shown)
    order[shown] = np.arange(len(shown))
    return Timeline(
        pts=pts[shown],
        end_pts=end_of(source, pts[shown], last_ticks=last_ticks),
        time_base=source.stream.time_base,
        is_key=np.array(is_key, dtype=bool)[shown],
        is_cheap=np.zeros(len(pts), dtype=bool),  # every frame is decoded in any case
        order=order,
    )
