"""The ways to read frames that are measured: videoproc, its peers, and only decoding.

Each is told the same frames of the same file in its own words, and gives their times and pixels.
"""

from __future__ import annotations

import bisect
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "8")  # it says on stderr what it cannot decode

import av
import cv2
import numpy as np
import torch
from av.video.reformatter import Interpolation, VideoReformatter
from av.video.stream import VideoStream
from torchcodec.decoders import VideoDecoder
from torchcodec.transforms import Resize

from videoproc.media import Limits, Sampling, Size, decode_clips, read_clips

torch.set_num_threads(1)
cv2.setNumThreads(1)


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a linear decode and the packets tell of a file, learnt without videoproc."""

    time_base: Fraction
    frame_pts: tuple[int, ...]
    """Ticks of every frame, ascending."""
    groups: tuple[tuple[int, tuple[int, ...]], ...]
    """For each key frame, in the order of the file: its pts and those of its packets."""

    @property
    def times_s(self) -> np.ndarray:
        """Seconds from the first frame."""
        return (np.array(self.frame_pts) - self.frame_pts[0]) * float(self.time_base)


@dataclass(frozen=True, kw_only=True)
class Job:
    """Frames of one file: `indices` in the order of presentation, from 0."""

    path: Path
    layout: Layout = field(repr=False)
    sampling: Sampling
    side: int
    indices: tuple[int, ...] = ()
    seek_mode: Literal["exact", "approximate"] = "approximate"
    """torchcodec's: "exact" where it finds other frames by the approximate one."""

    @property
    def pts(self) -> tuple[int, ...]:
        return tuple(self.layout.frame_pts[index] for index in self.indices)

    @property
    def middles_s(self) -> list[float]:
        """Seconds of the stream half-way through each frame's display."""
        pts = (*self.layout.frame_pts, 2 * self.layout.frame_pts[-1] - self.layout.frame_pts[-2])
        return [float((pts[i] + pts[i + 1]) * self.layout.time_base / 2) for i in self.indices]


@dataclass(frozen=True, kw_only=True)
class Frames:
    """What a way gives: stream ticks or None where it tells no times, and (T, H, W, 3) uint8."""

    pts: tuple[int, ...] | None
    frames_thwc: np.ndarray


Way = Callable[[Job], Frames]


def read_layout(path: Path) -> Layout:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        time_base = stream.time_base
        pts = sorted(frame.pts for frame in container.decode(stream) if frame.pts is not None)
    groups: list[tuple[int, list[int]]] = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            if packet.is_keyframe and packet.size:
                groups.append((_ticks(packet), []))
            if packet.size:
                groups[-1][1].append(_ticks(packet))
    assert time_base is not None
    return Layout(
        time_base=time_base,
        frame_pts=tuple(pts),
        groups=tuple((key, tuple(packets)) for key, packets in groups),
    )


def read_videoproc(job: Job) -> Frames:
    size = Size(height=job.side, width=job.side)
    (clip,) = read_clips(job.path, sampling=job.sampling, size=size)
    first, base = job.layout.frame_pts[0], float(job.layout.time_base)
    pts = tuple(round(float(seconds) / base) + first for seconds in clip.pts_s)
    return Frames(pts=pts, frames_thwc=clip.frames_thwc)


def read_isolated(job: Job) -> Frames:
    """The step of the pipeline: the same in a child that may crash."""
    size = Size(height=job.side, width=job.side)
    decode = decode_clips(sampling=job.sampling, size=size, limits=Limits())
    layout = job.layout
    end_s = 2 * layout.times_s[-1] - layout.times_s[-2]
    span = {"clip_index": 0, "start_s": 0.0, "end_s": float(end_s)}
    (row,) = decode({"uri": str(job.path), "spans": [span]})
    if row["error_class"]:
        raise RuntimeError(f"{job.path.name}: {row['error_class']}: {row['message']}")
    frames = np.frombuffer(row["frames"], dtype=row["dtype"]).reshape(row["shape"])
    pts = [round(s / float(layout.time_base)) + layout.frame_pts[0] for s in row["pts_s"]]
    return Frames(pts=tuple(pts), frames_thwc=frames)


def read_torchcodec(job: Job) -> Frames:
    decoder = VideoDecoder(
        str(job.path),
        seek_mode=job.seek_mode,
        num_ffmpeg_threads=1,
        dimension_order="NHWC",
        transforms=[Resize((job.side, job.side))],
    )
    batch = decoder.get_frames_played_at(job.middles_s)
    base = float(job.layout.time_base)
    pts = tuple(round(seconds / base) for seconds in batch.pts_seconds.tolist())
    return Frames(pts=pts, frames_thwc=batch.data.numpy())


def read_opencv(job: Job) -> Frames:
    """Frames between are grabbed, which decodes but converts nothing."""
    capture = cv2.VideoCapture(str(job.path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    wanted, frames = set(job.indices), []
    for index in range(max(job.indices) + 1):
        if not capture.grab():
            break
        if index in wanted:
            _, bgr = capture.retrieve()
            small = cv2.resize(bgr, (job.side, job.side), interpolation=cv2.INTER_AREA)
            frames.append(cv2.cvtColor(small, cv2.COLOR_BGR2RGB))
    capture.release()
    if len(frames) < len(wanted):
        raise RuntimeError(f"OpenCV gave {len(frames)} of {len(wanted)} frames")
    return Frames(pts=None, frames_thwc=np.stack(frames))


def read_pyav(job: Job) -> Frames:
    """The loop that one writes first."""
    wanted, found = set(job.pts), {}
    with av.open(str(job.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for frame in container.decode(stream):
            if frame.pts in wanted:
                small = frame.reformat(job.side, job.side, "rgb24", interpolation="AREA")
                found[frame.pts] = small.to_ndarray()
            if len(found) == len(wanted):
                break
    return Frames(pts=tuple(sorted(found)), frames_thwc=np.stack([found[p] for p in sorted(found)]))


def only_decode(job: Job, *, wanted_frames: bool = True) -> dict[int, av.VideoFrame]:
    """The floor: open, and decode what must be decoded: each group's packets up to the last that
    is wanted, less those that nothing refers to and nobody wants. No scaling, no conversion.

    wanted_frames: False leaves out the wanted frames that nothing refers to, too.
    """
    wanted = set(job.pts)
    with av.open(str(job.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        frames = _decode_needed(container, stream, job, wanted, wanted_frames=wanted_frames)
        return {frame.pts: frame for frame in frames if frame.pts in wanted}


def decode_and_scale(job: Job, *, to_arrays: bool) -> list[av.VideoFrame] | list[np.ndarray]:
    """The floor, and the scaling that videoproc's frames are defined by; for the profile."""
    wanted, scaler, small = set(job.pts), VideoReformatter(), []
    with av.open(str(job.path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for frame in _decode_needed(container, stream, job, wanted, wanted_frames=True):
            if frame.pts in wanted:
                small.append(
                    scaler.reformat(
                        frame,
                        job.side,
                        job.side,
                        format="rgb24",
                        interpolation=Interpolation.AREA,
                        threads=1,
                    )
                )
    if to_arrays:
        np.stack(arrays := [frame.to_ndarray() for frame in small])
        return arrays
    return small


def packets_needed(job: Job) -> int:
    """Packets between a group's key frame and the last that is wanted; some may be skipped."""
    return sum(len(packets) for _, packets in _visits(job))


def _visits(job: Job) -> Iterator[tuple[int, tuple[int, ...]]]:
    """The key frame to seek to, and the packets from it to the last that is wanted."""
    wanted = sorted(job.pts)
    keys = sorted(key for key, _ in job.layout.groups)
    home = [max(0, bisect.bisect_right(keys, pts) - 1) for pts in wanted]
    packets = [pts for _, group in job.layout.groups for pts in group]
    place = {pts: number for number, pts in enumerate(packets)}
    for number in sorted(set(home)):
        last = max(place[pts] for pts, at in zip(wanted, home, strict=True) if at == number)
        yield keys[number], tuple(packets[place[keys[number]] : last + 1])


def _decode_needed(
    container: av.container.InputContainer,
    stream: VideoStream,
    job: Job,
    wanted: set[int],
    *,
    wanted_frames: bool,
) -> Iterator[av.VideoFrame]:
    context = stream.codec_context
    can_skip = context.name != "libdav1d"  # it takes the setting once, for the whole file
    for number, (key, packets) in enumerate(_visits(job)):
        if number:
            container.seek(key, stream=stream)
        left = len(packets)
        for packet in container.demux(stream):
            is_wanted = wanted_frames and _ticks(packet) in wanted
            context.skip_frame = "NONREF" if can_skip and not is_wanted else "DEFAULT"
            yield from context.decode(packet)
            left -= 1
            if left == 0:
                break
        yield from context.decode(None)  # what the decoder still holds
        context.flush_buffers()


def _ticks(packet: av.Packet) -> int:
    pts = packet.dts if packet.pts is None else packet.pts
    return -1 if pts is None else pts


def read_floor(job: Job) -> Frames:
    found = only_decode(job)
    if len(found) < len(set(job.pts)):
        raise RuntimeError(f"{job.path.name}: {len(found)} of {len(set(job.pts))} frames came")
    return Frames(pts=tuple(sorted(found)), frames_thwc=np.empty(0))


OURS, ISOLATED, TORCHCODEC, FLOOR = (
    "videoproc",
    "videoproc, isolated",
    "torchcodec",
    "only decoding",
)
WAYS: dict[str, Way] = {
    OURS: read_videoproc,
    ISOLATED: read_isolated,
    TORCHCODEC: read_torchcodec,
    "OpenCV": read_opencv,
    "PyAV loop": read_pyav,
    FLOOR: read_floor,
}


def read_all(way: str, jobs: Sequence[Job]) -> float:
    """CPU seconds that this process took to read them."""
    before = time.process_time()
    for job in jobs:
        WAYS[way](job)
    return time.process_time() - before
