"""Frames as the clips table holds them: one binary a frame, raw or JPEG by config.

Between steps a clip's frames are raw and in one piece (`schema.frames_of`). They are encoded where
a shard is written and decoded where a clip is read, so no step and no task asks how they are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejpeg

from videoproc.types import Row, UserError

RAW, JPEG = "raw", "jpeg"
JPEG_VERSION = 1  # raise it when the same frames and quality come to other bytes
COLOURS = {1: "GRAY", 3: "RGB"}  # simplejpeg's names, by the number of channels


@dataclass(frozen=True, kw_only=True)
class FrameFormat:
    """How the frames of a clip are stored.

    Args:
        encoding: raw (the decoder's bytes, exactly) or jpeg (smaller, and not exact).
        quality: of JPEG, 1 to 100; raw has none.
    """

    encoding: str = RAW
    quality: int = 90

    def __post_init__(self) -> None:
        if self.encoding not in (RAW, JPEG):
            raise ValueError(f"frames.encoding is {self.encoding!r}: use {RAW} or {JPEG}")
        if not 1 <= self.quality <= 100:
            raise ValueError(f"frames.quality is {self.quality}: use 1 (smallest) to 100 (best)")

    @property
    def is_lossy(self) -> bool:
        return self.encoding == JPEG

    @property
    def identity(self) -> dict[str, Any]:
        """What of this decides the frames that come back: for raw, no quality."""
        if not self.is_lossy:
            return {"encoding": RAW}
        return {"encoding": JPEG, "quality": self.quality, "version": JPEG_VERSION}


def encode_frames(
    frames_thwc: np.ndarray, frame_format: FrameFormat
) -> Sequence[bytes | memoryview]:
    """One binary for each of the uint8 frames (T, H, W, C); C is 1 or 3 for JPEG."""
    frames = np.ascontiguousarray(frames_thwc)
    if not frame_format.is_lossy:
        return [frame.reshape(-1).data for frame in frames]
    channels = frames.shape[-1]
    return [
        simplejpeg.encode_jpeg(
            frame,
            quality=frame_format.quality,
            colorspace=COLOURS[channels],
            # 4:2:0 saves a seventh of the bytes and costs 1 dB, 3 on the worst of ten clips; the
            # fast DCT saves no time and costs 3 dB at quality 95.
            colorsubsampling="Gray" if channels == 1 else "444",
            fastdct=False,
        )
        for frame in frames
    ]


def decode_frames(row: Row) -> np.ndarray:
    """The frames of a row of the clips table, whatever their encoding, in its shape (T, H, W, C).

    The row needs clip_id, encoding, dtype, shape and frames.
    Errors: UserError that names the clip and the frame where bytes are missing or damaged.
    """
    frames = np.empty(row["shape"], row["dtype"])
    if len(row["frames"]) != len(frames):
        raise _damaged(row, f"{len(row['frames'])} frames are there, not {len(frames)}")
    decode = _decode_jpeg if row["encoding"] == JPEG else _decode_raw
    for position, content in enumerate(row["frames"]):
        try:
            decode(content, frames[position])
        except ValueError as error:
            raise _damaged(row, f"frame {position} of {len(frames)}: {error}") from error
    return frames


def _decode_raw(content: bytes, into_hwc: np.ndarray) -> None:
    into_hwc[...] = np.frombuffer(content, into_hwc.dtype).reshape(into_hwc.shape)


def _decode_jpeg(content: bytes, into_hwc: np.ndarray) -> None:
    """Decode into the frame's own place; ValueError where the picture is not whole or not its."""
    found = simplejpeg.decode_jpeg(
        content, colorspace=COLOURS[into_hwc.shape[-1]], fastdct=False, buffer=into_hwc
    )
    if found.shape != into_hwc.shape:
        raise ValueError(f"the picture is {found.shape}, not {into_hwc.shape}")


def _damaged(row: Row, what: str) -> UserError:
    clip_id = row["clip_id"]
    return UserError(
        f"clip {clip_id} of the table is damaged ({what}): delete it "
        f"(`Dataset(folder=...).clips.delete('clip_id', ['{clip_id}'])`) and run "
        "`python -m pipelines.extract` again"
    )
