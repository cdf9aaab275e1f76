"""What a video shows, learnt the plain way: decode it all. Nothing of videoproc is used.

This is the judge of the exactness tests, so it knows no seeking, no sampling and no packet index;
and `ffprobe` and `ffmpeg`, where they are installed, judge it in turn.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

INTERPOLATION = "AREA"


@dataclass(frozen=True, kw_only=True)
class Reference:
    """Every frame of a video, in the order of their times.

    Where frames have no times, or share one, their order is the decoder's, and `_Clock` tells the
    times. order: the numbers that the decoder gave to the frames.

    frames: (N, H, W, 3) uint8 RGB, as displayed. ticks: the times that FFmpeg tells for them, in
    `time_base`. is_key: the decoder's word. last_ticks: how long the last one is shown, 0 where
    unsaid. displayed: height and width of the first one on a screen of square pixels. stored:
    the same in its own samples.
    """

    frames: np.ndarray
    order: tuple[int, ...]
    ticks: tuple[int, ...]
    time_base: Fraction
    is_key: tuple[bool, ...]
    last_ticks: int
    displayed: tuple[int, int]
    stored: tuple[int, int]
    is_upright: bool
    bits: int
    stream_index: int

    @property
    def times(self) -> list[Fraction]:
        """Seconds from the first frame."""
        return [(tick - self.ticks[0]) * self.time_base for tick in self.ticks]

    @property
    def duration_s(self) -> float:
        """To the end of the last frame, which stays as long as the others where that is unsaid."""
        shown = Fraction(self.ticks[-1] - self.ticks[0])
        last = self.last_ticks or shown / max(1, len(self.ticks) - 1)
        return float((shown + last) * self.time_base)


def decode_all(path: Path, *, size: tuple[int, int] | None, is_cut: bool = False) -> Reference:
    """The whole file, linearly, on one thread. size: height and width; None: as displayed.

    is_cut: the last packet may not be whole; it is left out where the decoder does not take it.
    """
    frames: list[np.ndarray] = []
    told: list[int] = []
    own: list[int | None] = []
    durations: list[int] = []
    is_key: list[bool] = []
    displayed: tuple[int, int] | None = None
    bits = 8
    with av.open(str(path.absolute()), metadata_errors="replace") as container:
        stream = next(
            stream
            for stream in container.streams.video
            if not stream.disposition & Disposition.attached_pic
        )
        stream.thread_type = "NONE"
        assert stream.time_base is not None
        stores_pts = container.format.name != "avi"
        clock = _Clock(stores_pts=stores_pts)
        step = round(1 / (stream.average_rate * stream.time_base)) if stream.average_rate else 1
        for frame in _decode(container, stream, is_cut=is_cut):
            to_screen = screen_matrix(frame)
            if displayed is None:
                displayed = _displayed(frame, stream.sample_aspect_ratio, to_screen)
                bits = max(component.bits for component in frame.format.components)
                stored = _displayed(frame, None, to_screen)
                is_upright = bool((to_screen == np.eye(2)).all())
            frames.append(_picture(frame, size or displayed, to_screen))
            told.append(clock.tell(frame, step=step))
            own.append(frame.pts)
            durations.append(frame.duration)
            is_key.append(frame.key_frame)
        assert displayed is not None
        has_own = stores_pts and None not in own and len(set(own)) == len(own)
        ticks = [pts for pts in own if pts is not None] if has_own else told
        order = sorted(range(len(ticks)), key=ticks.__getitem__)
        return Reference(
            frames=np.stack([frames[i] for i in order]),
            order=tuple(order),
            ticks=tuple(sorted(ticks)),
            time_base=stream.time_base,
            is_key=tuple(is_key[i] for i in order),
            last_ticks=durations[order[-1]],
            displayed=displayed,
            stored=stored,
            is_upright=is_upright,
            bits=bits,
            stream_index=stream.index,
        )


def _decode(
    container: InputContainer, stream: VideoStream, *, is_cut: bool
) -> Iterator[av.VideoFrame]:
    for packet in container.demux(stream):
        try:
            frames = packet.decode()
        except av.InvalidDataError:
            if not is_cut:
                raise
            frames = []
        yield from frames


class _Clock:
    """FFmpeg's best effort: a frame's own time, or its packet's where those behave better.

    AVI stores no times of showing, so those that FFmpeg makes up are left aside. A frame whose
    time is missing, or not after that of the frame before, follows it after a frame's duration.
    """

    def __init__(self, *, stores_pts: bool) -> None:
        self._stores_pts = stores_pts
        self._last: dict[str, int] = {}
        self._faults = {"pts": 0, "dts": 0}
        self._now: int | None = None

    def tell(self, frame: av.VideoFrame, *, step: int) -> int:
        best = self._best_effort(pts=frame.pts if self._stores_pts else None, dts=frame.dts)
        if self._now is None:
            self._now = best or 0
        elif best is not None and best > self._now:
            self._now = best
        else:
            self._now += frame.duration or step
        return self._now

    def _best_effort(self, *, pts: int | None, dts: int | None) -> int | None:
        for name, value, other in (("dts", dts, pts), ("pts", pts, dts)):
            if value is not None:
                self._faults[name] += value <= self._last.get(name, value - 1)
                self._last[name] = value
            elif other is not None:
                self._last[name] = other
        takes_pts = self._faults["pts"] <= self._faults["dts"] or dts is None
        return pts if takes_pts and pts is not None else dts


def screen_matrix(frame: av.VideoFrame) -> np.ndarray:
    """Where right and down of the stored picture point on the screen: rows (x, y) of -1, 0, 1."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return np.eye(2, dtype=int)
    matrix = np.frombuffer(bytes(data), dtype="=i4").reshape(3, 3)[:2, :2]
    return np.sign(np.round(matrix / 65536)).astype(int)


def _picture(frame: av.VideoFrame, size: tuple[int, int], to_screen: np.ndarray) -> np.ndarray:
    (right_x, right_y), (down_x, down_y) = to_screen
    is_swapped = right_x == 0
    height, width = size[::-1] if is_swapped else size
    picture = frame.reformat(
        width=width, height=height, format="rgb24", interpolation=INTERPOLATION, threads=1
    ).to_ndarray()
    if is_swapped:  # what ran to the right runs down now, or up
        picture = picture.transpose(1, 0, 2)
    if (down_x if is_swapped else right_x) < 0:
        picture = picture[:, ::-1]
    if (right_y if is_swapped else down_y) < 0:
        picture = picture[::-1]
    return np.ascontiguousarray(picture)


def _displayed(
    frame: av.VideoFrame, sample_aspect: Fraction | None, to_screen: np.ndarray
) -> tuple[int, int]:
    width = round(frame.width * sample_aspect) if sample_aspect else frame.width
    return (width, frame.height) if to_screen[0, 0] == 0 else (frame.height, width)


# FFmpeg's own programs


def needs(program: str) -> str:
    """The program's path; the test is skipped where it is not installed."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return found


def ffprobe_ticks(path: Path, *, stream_index: int) -> list[int | None]:
    """The frames' times, in ticks, as ffprobe tells them; None where it does not.

    Their own where all have one, in order; else its best effort.
    """
    frames = _ffprobe(path, stream_index, "frame=pts,best_effort_timestamp")["frames"]
    own = [frame.get("pts") for frame in frames]
    if None not in own and len(set(own)) == len(own):
        return sorted(own)
    return [frame.get("best_effort_timestamp") for frame in frames]


def ffmpeg_frames(path: Path, *, stream_index: int, size: tuple[int, int]) -> np.ndarray:
    """Every frame in ffmpeg's own conversion, turned as it turns: (N, H, W, 3) uint8.

    What today's libraries do by themselves the program must be told: where the samples of halved
    colour lie, and that fields are scaled apart.
    """
    height, width = size
    stream = _ffprobe(path, stream_index, "stream=chroma_location")["streams"][0]
    places = {"left": ":in_h_chr_pos=0", "topleft": ":in_h_chr_pos=0:in_v_chr_pos=0"}
    chroma = places.get(stream.get("chroma_location", ""), "")
    command = [
        needs("ffmpeg"),
        *("-v", "quiet", "-nostdin", "-threads", "1", "-i"),
        os.fsencode(f"file:{path.absolute()}"),
        *("-map", f"0:{stream_index}", "-fps_mode", "passthrough"),
        *("-vf", f"scale={width}:{height}:flags=area:interl=-1{chroma}", "-pix_fmt", "rgb24"),
        *("-f", "rawvideo", "-"),
    ]
    data = subprocess.run(command, capture_output=True, check=False).stdout
    return np.frombuffer(data, dtype=np.uint8).reshape(-1, height, width, 3)


def _ffprobe(path: Path, stream_index: int, entries: str) -> dict[str, Any]:
    command = [
        needs("ffprobe"),
        *("-v", "quiet", "-threads", "1", "-select_streams", str(stream_index)),
        *("-show_entries", entries, "-of", "json", "-i"),
        os.fsencode(f"file:{path.absolute()}"),
    ]
    return dict(json.loads(subprocess.run(command, capture_output=True, check=False).stdout))
