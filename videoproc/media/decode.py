"""Frames of a video: exactly those of a linear decode, reached by seeking.

Exact means: the same bytes as decoding the file from its first packet to its last and applying
the same reformat and rotation. Every seek is checked where it lands; whatever looks wrong is
settled by decoding from the start.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.reformatter import Interpolation, VideoReformatter

from videoproc.media.errors import MediaError
from videoproc.media.plan import (
    Sampling,
    Size,
    Visit,
    clip_spans,
    plan_visits,
    sample_indices,
    span_frames,
)
from videoproc.media.probe import PacketIndex, open_video, read_index
from videoproc.types import Clip

DECODE_VERSION = 1
"""Raise it when the same file and sampling give other bytes: clip ids contain it."""


def read_clips(
    path: str | Path,
    *,
    sampling: Sampling,
    size: Size,
    spans: Sequence[tuple[float, float]] | None = None,
) -> Iterator[Clip]:
    """The clips of the video at `path`, one for each span, in the order of the spans.

    spans: (start_s, end_s) in seconds from the first frame; None cuts the video as `sampling`
    says. One clip is held at a time. Raises MediaError.
    """
    index = read_index(path)
    if spans is None:
        spans = clip_spans(duration_s=index.header.duration_s, clip_s=sampling.clip_s)
    with ExitStack() as opened:
        reader = _Reader(path, index=index, size=size, opened=opened)
        for start_s, end_s in spans:
            yield _read_clip(reader, index, sampling=sampling, start_s=start_s, end_s=end_s)


def _read_clip(
    reader: _Reader, index: PacketIndex, *, sampling: Sampling, start_s: float, end_s: float
) -> Clip:
    if start_s >= index.header.duration_s:
        raise MediaError(
            "MissingFrames",
            f"a clip from {start_s} s is wanted, the video lasts {index.header.duration_s} s",
        )
    first, stop = span_frames(
        frame_pts=index.frame_pts, time_base=index.time_base, start_s=start_s, end_s=end_s
    )
    indices = first + sample_indices(num_frames_available=stop - first, sampling=sampling)
    pts = index.frame_pts[indices]
    frames = reader.read(np.unique(pts))
    ticks = pts - index.frame_pts[0]
    return Clip(
        frames_thwc=np.stack([frames[int(tick)] for tick in pts]),
        pts_s=ticks * index.time_base.numerator / index.time_base.denominator,
        frame_indices=indices,
        start_s=start_s,
        end_s=end_s,
    )


class _LostTrackError(Exception):
    """A seek did not lead to the wanted frames: only decoding from the start will tell."""


class _Reader:
    """One open file, and where its decoder stands. Frames are known by their ticks."""

    def __init__(
        self, path: str | Path, *, index: PacketIndex, size: Size, opened: ExitStack
    ) -> None:
        self._path = path
        self._index = index
        self._opened = opened
        self._scale = _Scaler(size)
        self._is_linear = not index.is_reliable
        self._container: InputContainer | None = None
        self._forget_position()

    def read(self, wanted_pts: np.ndarray) -> dict[int, np.ndarray]:
        """The small RGB frame (H, W, 3) for each of the times wanted, which ascend."""
        if not self._is_linear:
            try:
                return self._read_groups(wanted_pts)
            except (_LostTrackError, av.FFmpegError):
                # A real error of the file comes up again on the way from the start.
                self._is_linear = True
                self._forget_position()
        return self._read_from_start(wanted_pts)

    def _forget_position(self) -> None:
        self._frames: Iterator[tuple[int, av.VideoFrame]] = iter(())
        self._position: int | None = None  # the frame that the decoder delivered last
        self._newest_key: int | None = None  # the last key frame that it was fed

    def _read_groups(self, wanted_pts: np.ndarray) -> dict[int, np.ndarray]:
        found: dict[int, np.ndarray] = {}
        for visit in plan_visits(wanted_pts=wanted_pts, keyframe_pts=self._index.keyframe_pts):
            if not self._is_on_the_way(visit):
                self._seek(visit.seek_pts)
            found |= self._take(visit.wanted_pts)
        if len(found) < len(wanted_pts):
            raise _LostTrackError
        return found

    def _is_on_the_way(self, visit: Visit) -> bool:
        """Whether decoding on reaches the visit's frames and skips no group that it could."""
        if self._position is None or self._newest_key is None:
            return False
        return self._position < visit.wanted_pts[0] and self._newest_key >= visit.seek_pts

    def _read_from_start(self, wanted_pts: np.ndarray) -> dict[int, np.ndarray]:
        if self._position is None or self._position >= wanted_pts[0]:
            self._reopen()
            self._frames = self._deliver_in_order()
        found = self._take(tuple(int(pts) for pts in wanted_pts))
        if len(found) < len(wanted_pts):
            raise MediaError(
                "MissingFrames",
                f"{len(wanted_pts) - len(found)} of {len(wanted_pts)} frames wanted never "
                f"appeared; the packets promise {self._index.header.num_frames} in all",
            )
        return found

    def _reopen(self) -> None:
        self._opened.close()
        self._container, self._stream = self._opened.enter_context(open_video(self._path))
        self._forget_position()

    def _seek(self, seek_pts: int) -> None:
        if self._container is None:
            self._reopen()
        assert self._container is not None
        self._container.seek(seek_pts, stream=self._stream)
        self._forget_position()
        self._frames = self._deliver_after_seek(seek_pts)

    def _packets(self) -> Iterator[av.Packet]:
        assert self._container is not None
        yield from self._container.demux(self._stream)

    def _deliver_after_seek(self, seek_pts: int) -> Iterator[tuple[int, av.VideoFrame]]:
        for packet in self._packets():
            if self._newest_key is None:
                self._check_landing(packet, seek_pts)
            if packet.is_keyframe and packet.pts is not None:
                self._newest_key = packet.pts
            for frame in packet.decode():
                if frame.pts is None:
                    raise _LostTrackError
                yield frame.pts, frame

    def _check_landing(self, packet: av.Packet, seek_pts: int) -> None:
        """MPEG program streams, for one, land between key frames, or on none."""
        if packet.pts is None or packet.pts > seek_pts or not packet.is_keyframe:
            raise _LostTrackError
        if packet.pts not in self._index.keyframe_pts:
            raise _LostTrackError

    def _deliver_in_order(self) -> Iterator[tuple[int, av.VideoFrame]]:
        frames = (frame for packet in self._packets() for frame in packet.decode())
        if self._index.is_reliable:
            yield from ((frame.pts, frame) for frame in frames if frame.pts is not None)
        else:  # the times of the index may be made up: only the order of its frames is sure
            yield from zip(self._index.frame_pts.tolist(), frames, strict=False)

    def _take(self, wanted_pts: tuple[int, ...]) -> dict[int, np.ndarray]:
        """Those of the wanted frames that appear before the decoder is past the last."""
        wanted, found = set(wanted_pts), {}
        for pts, frame in self._frames:
            self._position = pts
            if pts in wanted:
                found[pts] = self._scale(frame)
            if pts >= wanted_pts[-1]:
                break
        return found


class _Scaler:
    """A decoded frame to a small RGB one, as displayed: (height, width, 3) uint8."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        quarter_turns = round(frame.rotation / 90) % 4  # counter-clockwise, as np.rot90 turns
        height, width = self._size.height, self._size.width
        if quarter_turns % 2:
            height, width = width, height
        small = self._reformatter.reformat(
            frame, width, height, format="rgb24", interpolation=Interpolation.AREA, threads=1
        )
        return np.rot90(small.to_ndarray(), quarter_turns)
