"""Ten short videos of ten codecs, to be broken or read over and over; and who still runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import av
import numpy as np
import psutil

CODECS: dict[str, tuple[str, dict[str, str]]] = {
    "h264.mp4": ("libx264", {"bf": "2", "g": "8"}),
    "hevc.mp4": ("libx265", {"x265-params": "log-level=none:keyint=8:pools=1"}),
    "av1.mkv": ("libsvtav1", {"preset": "11", "svtav1-params": "lp=1"}),
    "vp8.webm": ("libvpx", {"g": "8"}),
    "vp9.webm": ("libvpx-vp9", {"g": "8"}),
    "mpeg4.avi": ("mpeg4", {"g": "8"}),
    "mpeg2.ts": ("mpeg2video", {"g": "8", "bf": "2"}),
    "mpeg1.mpg": ("mpeg1video", {"g": "8"}),
    "mjpeg.mov": ("mjpeg", {}),
    "gif.gif": ("gif", {}),
}
PIXELS = {"mjpeg": "yuvj420p", "gif": "rgb8", "png": "rgb24"}
NUM_FRAMES, FPS = 20, 25
SPANS = [
    {"clip_index": 0, "start_s": 0.0, "end_s": 0.4},
    {"clip_index": 1, "start_s": 0.4, "end_s": 0.8},
]


def encode(path: Path, frames: Iterator[np.ndarray], *, codec: str, **options: str) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=FPS, options=options)
        stream.pix_fmt = PIXELS.get(codec, "yuv420p")
        stream.codec_context.thread_count = 1
        for number, rgb in enumerate(frames):
            if number == 0:
                stream.height, stream.width = rgb.shape[:2]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def encode_originals(folder: Path, picture: Callable[[int], Iterator[np.ndarray]]) -> list[Path]:
    return [
        encode(folder / name, picture(NUM_FRAMES), codec=codec, **options)
        for name, (codec, options) in CODECS.items()
    ]


def left_after(seconds: float, processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that have not ended by themselves within so many seconds."""
    deadline = time.monotonic() + seconds
    while (left := [p for p in processes if runs(p)]) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def runs(process: psutil.Process) -> bool:
    # One that ended stays as a zombie where its parent does not ask for it.
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
