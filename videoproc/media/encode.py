"""Frames into a video file, for tests and for the synthetic corpus."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.video.stream import VideoStream


def write_video(
    path: str | Path,
    frames: Iterable[np.ndarray],
    *,
    fps: float,
    codec: str = "libx264",
    crf: int | None = 23,
    pix_fmt: str = "yuv420p",
    gop_frames: int = 30,
    bframes: int = 0,
    rotation_deg: int = 0,
    pts: Sequence[int] | None = None,
    options: dict[str, str] | None = None,
) -> None:
    """Encode (H, W, 3) uint8 RGB frames, all of one shape, into the container the suffix names.

    Odd heights and widths lose their last row or column, since 4:2:0 pixels come in pairs.
    fps: a constant rate. crf: quality, where the codec has it; None for codecs that do not.
    gop_frames: at most so many frames from key frame to key frame. rotation_deg: a note in the
    header to turn the picture counter-clockwise by so much. pts: the frames' times in units of
    1 / fps, for a variable rate or another start. options: passed to the encoder.
    """
    rate = Fraction(fps).limit_denominator(60_060)  # 30000/1001 from 29.97003 too
    pictures = iter(frames)
    first = next(pictures, None)
    if first is None:
        raise ValueError(f"no frames to write to {str(path)!r}: give one or more")
    with _new_file(path) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width = _even_sides(first)
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = gop_frames
        stream.codec_context.max_b_frames = bframes
        stream.codec_context.time_base = 1 / rate
        stream.codec_context.options = _codec_options(crf, options)
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        for i, frame_hwc in enumerate(itertools.chain([first], pictures)):
            time = i if pts is None else pts[i]
            container.mux(stream.encode(_picture(frame_hwc, time=time, time_base=1 / rate)))
        container.mux(stream.encode(None))


def _new_file(path: str | Path) -> OutputContainer:
    # The index of an MP4 goes to the front, so that a reader need not go to the end first.
    options = {"movflags": "+faststart"} if Path(path).suffix in (".mp4", ".mov") else {}
    return av.open(str(Path(path).absolute()), "w", options=options)


def _codec_options(crf: int | None, options: dict[str, str] | None) -> dict[str, str]:
    quality = {} if crf is None else {"crf": str(crf)}
    return quality | (options or {})


def _even_sides(frame_hwc: np.ndarray) -> tuple[int, int]:
    height, width = frame_hwc.shape[:2]
    return height - height % 2, width - width % 2


def _picture(frame_hwc: np.ndarray, *, time: int, time_base: Fraction) -> av.VideoFrame:
    height, width = _even_sides(frame_hwc)
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_hwc[:height, :width]))
    picture.pts, picture.time_base = time, time_base
    return picture
