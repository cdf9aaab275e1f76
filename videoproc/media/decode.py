"""Frames of a video: exactly those of a linear decode, for a fraction of its work.

Exact means: the same bytes as decoding the file from its first packet to its last and applying
the same reformat, rotation and mirroring. Three things save work: groups of pictures without a
wanted frame are not visited, frames that nothing refers to are skipped, and a visit ends with the
last packet that is wanted: what the decoder still holds back is drained. Whatever comes out other
than the packets promise is settled by decoding from the start.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.frame import PictureType

from videoproc.media.errors import MediaError
from videoproc.media.limits import Accept, Limits
from videoproc.media.picture import Scaler, Size
from videoproc.media.plan import PacketTable, Visit, plan_visits
from videoproc.media.probe import read_timeline, refuse
from videoproc.media.sampling import Sampling, Timeline, wanted_frames, widen
from videoproc.media.source import Packets, Source, open_source, read_packets
from videoproc.storage import RemotePath
from videoproc.types import Clip

DECODE_VERSION = 2
"""Raise it when the same file and sampling give other bytes: clip ids contain it."""

SKIPS_UNREFERENCED = frozenset({"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video", "vp8"})
"""Codecs whose decoders leave out frames that nothing refers to when told to."""


def read_clips(
    uri: str | Path | RemotePath,
    *,
    sampling: Sampling | Sequence[Sampling],
    size: Size | None = None,
    spans: Sequence[tuple[float, float]] | None = None,
    accept: Accept | None = None,
    limits: Limits | None = None,
) -> Iterator[Clip]:
    """The clips of the video at `uri`: a path, or an s3://, gs:// or http(s):// address.

    sampling: how the video is cut into clips and which frames they take; of several, all clips are
    read in one pass, and `Clip.sampling` says by its number which one made it. size: what frames
    are scaled to; None keeps the size that is displayed. spans: (start_s, end_s) in seconds from
    the first frame, in place of the cuts of `sampling`. accept: what material is taken.

    Clips come in the order of the spans, those of one span in the order of the samplings; without
    spans, in the order of their starts. A frame is decoded once, however many clips share it, and
    is held until the last of them is out. Raises MediaError.

    >>> path = getfixture("example_video")  # 2 s, 25 frames a second, 64 x 48 pixels
    >>> clips = list(read_clips(path, sampling=Sampling(num_frames=4, clip_s=1.0)))
    >>> [clip.frames_thwc.shape for clip in clips]
    [(4, 48, 64, 3), (4, 48, 64, 3)]
    >>> clips[0].pts_s.tolist(), clips[1].frame_indices.tolist()
    ([0.12, 0.36, 0.6, 0.84], [28, 34, 40, 46])
    """
    samplings = [sampling] if isinstance(sampling, Sampling) else list(sampling)
    limits, accept = limits or Limits(), accept or Accept()
    refuse(uri, accept=accept, limits=limits)
    with open_source(uri, limits=limits) as source:
        packets = read_packets(source, limits=limits)
        if packets.missing and not accept.truncated:
            raise MediaError("Truncated", packets.missing)
        timeline = read_timeline(uri, packets, limits=limits)
        requests = list(_requests(timeline, samplings=samplings, spans=spans))
        reader = _Reader(uri, source=source, packets=packets, timeline=timeline, limits=limits)
        scale = Scaler(size, sample_aspect=source.sample_aspect)
        yield from _assemble(reader, scale, requests, timeline)


@dataclass(frozen=True, kw_only=True)
class _Request:
    """A clip that is wanted, and the numbers of its frames."""

    start_s: float
    end_s: float
    sampling: int
    frames: np.ndarray


def _requests(
    timeline: Timeline,
    *,
    samplings: Sequence[Sampling],
    spans: Sequence[tuple[float, float]] | None,
) -> Iterator[_Request]:
    cuts: Iterable[tuple[tuple[float, float], int]]
    if spans is None:
        own = [
            (span, number)
            for number, sampling in enumerate(samplings)
            for span in sampling.clip_spans(duration_s=timeline.duration_s)
        ]
        cuts = sorted(own, key=lambda cut: cut[0][0])
    else:
        cuts = [
            (widen(span, sampling=sampling, duration_s=timeline.duration_s), number)
            for span in spans
            for number, sampling in enumerate(samplings)
        ]
    for (start_s, end_s), number in cuts:
        frames = wanted_frames(timeline, sampling=samplings[number], start_s=start_s, end_s=end_s)
        yield _Request(start_s=start_s, end_s=end_s, sampling=number, frames=frames)


def _assemble(
    reader: _Reader, scale: Scaler, requests: Sequence[_Request], timeline: Timeline
) -> Iterator[Clip]:
    """Clips in the order of the requests; each frame is kept while a clip still needs it."""
    uses = Counter(frame for request in requests for frame in set(request.frames.tolist()))
    kept: dict[int, np.ndarray] = {}
    frames = reader.read(np.array(sorted(uses), dtype=np.int64))
    for request in requests:
        numbers = request.frames.tolist()
        lacking = set(numbers) - kept.keys()
        while lacking:
            number, picture = next(frames)
            kept[number] = scale(picture)
            lacking.discard(number)
        yield Clip(
            frames_thwc=np.stack([kept[number] for number in numbers]),
            pts_s=timeline.seconds(timeline.pts[request.frames]),
            frame_indices=request.frames,
            start_s=request.start_s,
            end_s=request.end_s,
            sampling=request.sampling,
        )
        for number in set(numbers):
            uses[number] -= 1
            if not uses[number]:
                del kept[number]


class _LostTrackError(Exception):
    """The frames are not those that the packets promise: only decoding from the start will tell."""


class _Reader:
    """Delivers the frames that are wanted, each once."""

    def __init__(
        self,
        uri: str | Path | RemotePath,
        *,
        source: Source,
        packets: Packets,
        timeline: Timeline,
        limits: Limits,
    ) -> None:
        self._uri = uri
        self._source = source
        self._packets = packets
        self._timeline = timeline
        self._limits = limits

    def read(self, wanted: np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
        """The wanted frames (numbers, ascending), about in order. Raises MediaError."""
        missing = set(wanted.tolist())
        if self._packets.table is not None:
            try:
                for number, frame in _visit_all(
                    self._source, self._packets.held, self._packets.table, wanted
                ):
                    if number in missing:
                        missing.remove(number)
                        yield number, frame
            except (_LostTrackError, av.FFmpegError):
                pass  # a real error of the file comes up again on the way from the start
        if missing:
            yield from self._read_from_start(missing)

    def _read_from_start(self, missing: set[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        num_wanted = len(missing)
        numbers: dict[int | None, int] = {
            int(pts): number for number, pts in enumerate(self._timeline.pts)
        }
        with open_source(self._uri, limits=self._limits, is_sparse=False) as source:
            for i, frame in enumerate(source.container.decode(source.stream)):
                # Where the times are made up only the order of the frames is sure.
                number = i if self._packets.table is None else numbers.get(frame.pts, -1)
                if number in missing:
                    missing.remove(number)
                    yield number, frame
                if not missing:
                    return
        raise MediaError(
            "MissingFrames",
            f"{len(missing)} of {num_wanted} frames wanted never appeared; "
            f"the packets promise {len(numbers)} in all",
        )


def _visit_all(
    source: Source, held: list[av.Packet] | None, table: PacketTable, wanted: np.ndarray
) -> Iterator[tuple[int, av.VideoFrame]]:
    packet_of_frame = table.packet_of_frame
    numbers = {int(table.pts[packet_of_frame[number]]): int(number) for number in wanted}
    context = source.stream.codec_context
    context.open(strict=False)  # first: some decoders fix what they skip when they are opened
    skips = _skips_unreferenced(source)
    for visit in plan_visits(table, frames=wanted):
        packets = (
            held[visit.start : visit.stop] if held is not None else _seek(source, table, visit)
        )
        due = {int(table.pts[packet]) for packet in visit.wanted}
        key_pts = int(table.pts[visit.start])
        for frame in _decode_visit(context, packets, visit, skips=skips):
            if frame.pts == key_pts:
                _check_key(frame)
            if frame.pts in due:
                due.remove(frame.pts)
                yield numbers[frame.pts], frame
        if due:
            raise _LostTrackError
        context.flush_buffers()


def _decode_visit(
    context: av.VideoCodecContext, packets: Iterable[av.Packet], visit: Visit, *, skips: bool
) -> Iterator[av.VideoFrame]:
    """All frames that come out of the packets [start, stop)."""
    wanted = {visit.start, *visit.wanted}
    is_skipping = False
    for number, packet in zip(range(visit.start, visit.stop), packets, strict=False):
        if skips and is_skipping != (number not in wanted):
            is_skipping = not is_skipping
            context.skip_frame = "NONREF" if is_skipping else "DEFAULT"
        yield from context.decode(packet)
    context.skip_frame = "DEFAULT"
    yield from context.decode(None)


def _seek(source: Source, table: PacketTable, visit: Visit) -> Iterator[av.Packet]:
    """The packets from the visit's start on; checked against the table, each one."""
    source.container.seek(int(table.pts[visit.start]), stream=source.stream)
    number = None
    for packet in source.container.demux(source.stream):
        if not packet.size:
            continue
        if number is None:
            landed = np.flatnonzero(table.pts[: visit.start + 1] == packet.pts)
            if not len(landed):  # MPEG program streams, for one, land anywhere
                raise _LostTrackError
            number = int(landed[-1])
        if number >= len(table.pts) or packet.pts != table.pts[number]:
            raise _LostTrackError
        if number >= visit.start:
            yield packet
        number += 1


def _check_key(frame: av.VideoFrame) -> None:
    """A packet may be marked as a key frame and be none: then what follows it is wrong."""
    if not frame.key_frame or frame.pict_type != PictureType.I:
        raise _LostTrackError


def _skips_unreferenced(source: Source) -> bool:
    if source.codec == "hevc":
        # "Not referred to" holds within one temporal layer only; the count stands in the
        # configuration record (ISO/IEC 14496-15, 8.3.3.1.2), which raw streams lack.
        extradata = source.stream.codec_context.extradata or b""
        return len(extradata) > 22 and extradata[0] == 1 and (extradata[21] >> 3 & 7) == 1
    return source.codec in SKIPS_UNREFERENCED
