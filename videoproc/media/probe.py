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
from videoproc.media.errors import MediaError
from videoproc.media.limits import Accept, Limits
from videoproc.media.picture import displayed_size
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

    >>> probe(getfixture("example_video"))
    Header(codec='h264', width=64, height=48, fps=25.0, num_frames=50, duration_s=2.0, flags=())
    """
    limits = limits or Limits()
    with open_source(uri, limits=limits) as source:
        packets = read_packets(source, limits=limits)
        flags = {TRUNCATED} if packets.missing else set()
    timeline = read_timeline(uri, packets, limits=limits)
    with open_source(uri, limits=limits) as source:
        first = _first_frame(source)
        size = displayed_size(first, sample_aspect=source.sample_aspect)
        return Header(
            codec=source.codec,
            width=size.width,
            height=size.height,
            fps=len(timeline.pts) / timeline.duration_s,
            num_frames=len(timeline.pts),
            duration_s=timeline.duration_s,
            flags=tuple(sorted(flags | _flags(source, first))),
        )


def read_timeline(uri: str | Path | RemotePath, packets: Packets, *, limits: Limits) -> Timeline:
    """The frames that decoding will show; the file is decoded once where packets do not tell.

    Then frames are told apart by their order, and their times may be made up.
    """
    if packets.table is not None:
        return packets.table.timeline()
    with open_source(uri, limits=limits, is_sparse=False) as source:
        return _decode_timeline(source, limits=limits, is_truncated=packets.missing is not None)


def refuse(uri: str | Path | RemotePath, *, accept: Accept, limits: Limits) -> None:
    """Raises MediaError "Refused" for material that `accept` does not take."""
    if accept.hdr and accept.interlaced:
        return
    with open_source(uri, limits=limits) as source:
        flags = _flags(source, _first_frame(source))
    for name in sorted(flags):
        if not getattr(accept, name):
            raise MediaError("Refused", f"the video is {name}, and accept.{name} is false")


def _first_frame(source: Source) -> av.VideoFrame:
    for frame in source.container.decode(source.stream):
        return frame
    raise MediaError("MissingFrames", "the video stream holds no frame that decodes")


def _flags(source: Source, first: av.VideoFrame) -> set[str]:
    context = source.stream.codec_context
    flags = set()
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
    clock = Clock(stores_pts=source.container.format.name != "avi", step=step)
    frame_pts: list[int] = []
    is_key: list[bool] = []
    last_ticks = 0
    for frame in _until_cut(source) if is_truncated else source.container.decode(source.stream):
        limits.check_frames(len(frame_pts) + 1)
        frame_pts.append(clock.tell(frame))
        is_key.append(bool(frame.key_frame))
        last_ticks = frame.duration
    if not frame_pts:
        raise MediaError("MissingFrames", "the video stream holds no frame that decodes")
    pts = np.array(frame_pts, dtype=np.int64)
    return Timeline(
        pts=pts,
        end_pts=end_of(source, pts, last_ticks=last_ticks),
        time_base=source.stream.time_base,
        is_key=np.array(is_key, dtype=bool),
        is_cheap=np.zeros(len(pts), dtype=bool),  # every frame is decoded in any case
    )
