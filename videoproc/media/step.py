"""Decoding as a step of the pipeline: one row a video in, one row a clip out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from videoproc.media import isolate
from videoproc.media.decode import read_clips
from videoproc.media.errors import MediaError
from videoproc.media.limits import Accept, Limits
from videoproc.media.picture import Size
from videoproc.media.sampling import Sampling
from videoproc.types import SECONDS, Clip, Row

STAGE = "decode"
TRANSFER = SECONDS + "transfer"
"""Starting the child, and handing its frames over."""
BYTES_PER_CALL = 128 << 20
"""Frames that a child hands over at once: memory does not grow with the length of a video."""


def decode_clips(
    *, sampling: Sampling, size: Size, limits: Limits, accept: Accept | None = None
) -> Callable[[Row], Iterator[Row]]:
    """A step that decodes a video's clips in this process's child.

    In: `uri` (a local path), `spans` (a list of {clip_index, start_s, end_s}) and any other
    keys. Out: a row for each span, with the other keys passed on, the span, and frame_indices,
    pts_s, shape, dtype, frames, decode_s. A video that cannot be read gives one row of the same
    keys instead, with clip_index -1 and no frames: `stage`, `error_class` and `message` say
    why; in good rows these are empty. decode_s is the video's share of seconds for this row.
    A long video is read in several calls, each within `limits`; where a later one fails, the
    clips before it stand and the failed row comes last.
    """
    clip_bytes = sampling.num_frames * size.height * size.width * 3
    clips_per_call = max(1, BYTES_PER_CALL // clip_bytes)

    def decode(row: Row) -> Iterator[Row]:
        passed_on = {key: value for key, value in row.items() if key != "spans"}
        spans = list(row["spans"])
        for first in range(0, len(spans), clips_per_call):
            part = spans[first : first + clips_per_call]
            started = time.monotonic()
            try:
                clips, child_s = isolate.shared().call(
                    _read_rows,
                    row["uri"],
                    sampling,
                    size,
                    limits,
                    accept,
                    [(span["start_s"], span["end_s"]) for span in part],
                    timeout_s=limits.timeout_s,
                    max_memory_bytes=limits.max_memory_bytes,
                )
            except MediaError as error:
                yield passed_on | _failed_row(error, decode_s=time.monotonic() - started)
                return
            elapsed_s = time.monotonic() - started
            transfer = {TRANSFER: max(0.0, elapsed_s - child_s) / len(part)}
            status = _status(decode_s=elapsed_s / len(part)) | transfer
            for span, clip in zip(part, clips, strict=True):
                yield passed_on | span | clip | status

    return decode


def _read_rows(
    path: str,
    sampling: Sampling,
    size: Size,
    limits: Limits,
    accept: Accept | None,
    spans: list[tuple[float, float]],
) -> tuple[list[Row], float]:
    """Runs in the child: the clips as plain values, which are cheap to send, and its seconds."""
    started = time.monotonic()
    clips = read_clips(
        path, sampling=sampling, size=size, spans=spans, limits=limits, accept=accept
    )
    rows = [_clip_row(clip) for clip in clips]
    return rows, time.monotonic() - started


def _clip_row(clip: Clip) -> Row:
    return {
        "frame_indices": clip.frame_indices.tolist(),
        "pts_s": clip.pts_s.tolist(),
        "shape": list(clip.frames_thwc.shape),
        "dtype": "uint8",
        "frames": clip.frames_thwc.tobytes(),
    }


def _failed_row(error: MediaError, *, decode_s: float) -> Row:
    """The keys of a clip row, so that good and bad rows share one Arrow schema."""
    no_clip: dict[str, Any] = {
        "clip_index": -1,
        "start_s": 0.0,
        "end_s": 0.0,
        "frame_indices": [],
        "pts_s": [],
        "shape": [],
        "dtype": "uint8",
        "frames": b"",
    }
    return no_clip | _status(
        decode_s=decode_s, stage=STAGE, error_class=error.error_class, message=error.message
    )


def _status(
    *, decode_s: float, stage: str = "", error_class: str = "", message: str = ""
) -> dict[str, Any]:
    return {
        "decode_s": decode_s,
        TRANSFER: 0.0,
        "stage": stage,
        "error_class": error_class,
        "message": message,
    }
