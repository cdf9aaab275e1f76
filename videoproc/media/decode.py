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
from typing import Any

import av
import numpy as np
from av.video.frame import PictureType

from videoproc.media.cost import Cost
from videoproc.media.errors import MediaError
from videoproc.media.limits import Accept, Limits
from videoproc.media.picture import Scaler, Size
from videoproc.media.plan import PacketTable, Visit, plan_visits
from videoproc.media.probe import read_timeline, refuse, size_of
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
    cost: Cost | None = None,
    size_bytes: int | None = None,
) -> Iterator[Clip]:
    """The clips of the video at `uri`: a path, or an s3://, gs:// or http(s):// address.

    sampling: how the video is cut into clips and which frames they take; of several, all clips are
    read in one pass, and `Clip.sampling` says by its number which one made it. size: what frames
    are scaled to; None keeps the size that is displayed. spans: (start_s, end_s) in seconds from
    the first frame, in place of the cuts of `sampling`; what reaches over the video's edges is cut
    off. accept: what material is taken. cost: counted up as clips are read. size_bytes: what the
    file must have, or it is another one.

    Clips come in the order of the spans, those of one span in the order of the samplings; without
    spans, in the order of their ends. A frame is decoded once, however many clips share it, and
    is held until the last of them is out. Raises MediaError for the video, ValueError for the
    arguments.

    >>> import numpy as np
    >>> from videoproc.media import Sampling, read_clips, write_video
    >>> grey = (np.full((48, 64, 3), i, np.uint8) for i in range(50))
    >>> write_video("example.mp4", grey, fps=25)
    >>> clips = list(read_clips("example.mp4", sampling=Sampling(num_frames=4, clip_s=1.0)))
    >>> [clip.frames_thwc.shape for clip in clips]
    [(4, 48, 64, 3), (4, 48, 64, 3)]
    >>> clips[0].pts_s.tolist(), clips[1].frame_indices.tolist()
    ([0.12, 0.36, 0.6, 0.84], [28, 34, 40, 46])
    """
    samplings: list[Any] = list(sampling) if isinstance(sampling, list | tuple) else [sampling]
    if not samplings:
        raise ValueError("sampling is empty: give one or more")
    _check_kinds(samplings, size)
    _check_spans(spans or ())
    limits, accept, cost = limits or Limits(), accept or Accept(), cost or Cost()
    with open_source(uri, limits=limits, cost=cost) as source:
        if size_bytes not in (None, source.container.size):
            raise MediaError(
                "Changed",
                f"the file has {source.container.size} bytes and had {size_bytes} when it was "
                "indexed: run index again",
            )
        packets = read_packets(source, limits=limits)
        refuse(source, packets, accept=accept)
        timeline = read_timeline(uri, packets, limits=limits, cost=cost)
        requests = list(_requests(timeline, samplings=samplings, spans=spans))
        reader = _Reader(
            uri, source=source, packets=packets, timeline=timeline, limits=limits, cost=cost
        )
        scale = Scaler(size or size_of(source, packets, limits=limits))
        try:
            yield from _assemble(reader, scale, requests, timeline)
        finally:
            packets.let_go()


def _check_spans(spans: Sequence[tuple[float, float]]) -> None:
    for number, span in enumerate(spans):
        try:
            start_s, end_s = span
            is_right = start_s < end_s and end_s > 0
        except TypeError:  # no pair of numbers
            is_right = False
        if not is_right:
            raise ValueError(
                f"spans[{number}] is {span}: give (start_s, end_s), "
                "the end after the start and after 0"
            )


def _check_kinds(samplings: Sequence[object], size: object) -> None:
    for sampling in samplings:
        if not isinstance(sampling, Sampling):
            raise TypeError(f"sampling is {sampling!r}: give Sampling(...), or a list of them")
    if size is not None and not isinstance(size, Size):
        raise TypeError(f"size is {size!r}: give Size(height=..., width=...), or None")


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
        cuts = sorted(own, key=lambda cut: cut[0][1])  # so few frames wait for a long clip's end
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
        cost: Cost,
    ) -> None:
        self._uri = uri
        self._source = source
        self._packets = packets
        self._timeline = timeline
        self._limits = limits
        self._cost = cost
        self._skips = _skips_unreferenced(source)

    def read(self, wanted: np.ndarray) -> Iterator[tuple[int, av.VideoFrame]]:
        """The wanted frames (numbers, ascending), about in order. Raises MediaError."""
        missing = set(wanted.tolist())
        if self._packets.table is not None:
            try:
                for number, frame in self._visit_all(self._packets.table, wanted):
                    if number in missing:
                        missing.remove(number)
                        yield number, frame
            except (_LostTrackError, av.FFmpegError):
                pass  # a real error of the file comes up again on the way from the start
        if missing:
            yield from self._read_from_start(missing)

    def _read_from_start(self, missing: set[int]) -> Iterator[tuple[int, av.VideoFrame]]:
        num_wanted = len(missing)
        order, all_pts = self._timeline.order, self._timeline.pts
        by_pts: dict[int | None, int] = {int(all_pts[number]): number for number in missing}
        with open_source(
            self._uri, limits=self._limits, cost=self._cost, is_sparse=False
        ) as source:
            for i, frame in enumerate(self._decode_all(source)):
                if order is None:
                    number = by_pts.get(frame.pts, -1)
                else:
                    number = int(order[i]) if i < len(order) else -1
                if number in missing:
                    missing.remove(number)
                    yield number, frame
                if not missing:
                    return
        raise MediaError(
            "MissingFrames",
            f"{len(missing)} of {num_wanted} frames wanted never appeared; "
            f"the packets promise {len(all_pts)} in all",
        )

    def _decode_all(self, source: Source) -> Iterator[av.VideoFrame]:
        for packet in source.container.demux(source.stream):
            self._cost.packets_decoded += 1
            for frame in packet.decode():
                self._cost.frames_decoded += 1
                yield frame

    def _visit_all(
        self, table: PacketTable, wanted: np.ndarray
    ) -> Iterator[tuple[int, av.VideoFrame]]:
        packet_of_frame = table.packet_of_frame
        numbers = {int(table.pts[packet_of_frame[number]]): int(number) for number in wanted}
        context = self._source.stream.codec_context
        context.open(strict=False)  # first: some decoders fix what they skip when they are opened
        visits = plan_visits(table, frames=wanted)
        if self._packets.places is not None:
            self._source.plan([_bytes_of(visit, self._packets.places) for visit in visits])
        for visit in visits:
            due = {int(table.pts[packet]) for packet in visit.wanted}
            key_pts = int(table.pts[visit.start])
            is_on_track = not table.is_shown[visit.start]  # cut off by an edit list
            for frame in self._decode_visit(table, visit):
                if frame.pts == key_pts:
                    is_on_track = _is_key(frame)
                if not is_on_track:
                    raise _LostTrackError
                if frame.pts in due:
                    due.remove(frame.pts)
                    yield numbers[frame.pts], frame
            if due:
                raise _LostTrackError
            context.flush_buffers()

    def _decode_visit(self, table: PacketTable, visit: Visit) -> Iterator[av.VideoFrame]:
        """All frames that come out of the packets [start, stop)."""
        held, context = self._packets.held, self._source.stream.codec_context
        packets: Iterable[av.Packet] = (
            _seek(self._source, table, visit) if held is None else held[visit.start : visit.stop]
        )
        wanted = {visit.start, *visit.wanted}
        is_skipping = False
        for number, packet in zip(range(visit.start, visit.stop), packets, strict=False):
            if self._skips and is_skipping != (number not in wanted):
                is_skipping = not is_skipping
                context.skip_frame = "NONREF" if is_skipping else "DEFAULT"
            self._cost.packets_decoded += 1
            yield from self._counted(context.decode(packet))
        context.skip_frame = "DEFAULT"
        yield from self._counted(context.decode(None))

    def _counted(self, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
        self._cost.frames_decoded += len(frames)
        return frames


def _bytes_of(visit: Visit, places: np.ndarray) -> tuple[int, int]:
    """The bytes from the first to the last of the visit's packets."""
    visited = places[visit.start : visit.stop]
    return int(visited[:, 0].min()), int(visited[:, 1].max())


def _seek(source: Source, table: PacketTable, visit: Visit) -> Iterator[av.Packet]:
    """The packets from the visit's start on; checked against the table, each one."""
    source.container.seek(int(table.pts[visit.start]), stream=source.stream)
    number = None
    for packet in source.container.demux(source.stream):
        if not packet.size:
            continue
        if number is None:
            number = _last_with(table.pts[: visit.start + 1], packet.pts)
            if number is None:  # MPEG program streams, for one, land anywhere
                raise _LostTrackError
        if number >= len(table.pts) or packet.pts != table.pts[number]:
            raise _LostTrackError
        if number >= visit.start:
            yield packet
        number += 1


def _last_with(pts: np.ndarray, value: int | None) -> int | None:
    if pts[-1] == value:  # nearly always: do not look through millions for each visit
        return len(pts) - 1
    found = np.flatnonzero(pts == value)
    return int(found[-1]) if len(found) else None


def _is_key(frame: av.VideoFrame) -> bool:
    """A packet may be marked as a key frame and bring none: then what follows it is wrong."""
    return bool(frame.key_frame) and frame.pict_type == PictureType.I


def _skips_unreferenced(source: Source) -> bool:
    if source.codec == "hevc":
        # "Not referred to" holds within one temporal layer only; the count stands in the
        # configuration record (ISO/IEC 14496-15, 8.3.3.1.2), which raw streams lack.
        extradata = source.stream.codec_context.extradata or b""
        return len(extradata) > 22 and extradata[0] == 1 and (extradata[21] >> 3 & 7) == 1
    return source.codec in SKIPS_UNREFERENCED
