"""Decoding as a step of the pipeline: one row a video in, one row a clip out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from pickle import PickleBuffer
from typing import Any

import numpy as np

from videoproc import storage
from videoproc.media import isolate
from videoproc.media.cost import Cost
from videoproc.media.decode import read_clips
from videoproc.media.errors import MediaError
from videoproc.media.limits import Accept, Limits
from videoproc.media.picture import Size
from videoproc.media.sampling import Sampling
from videoproc.roots import Roots
from videoproc.types import FETCHED, SECONDS, Clip, Row

STAGE = "decode"
TRANSFER = SECONDS + "transfer"
"""Starting the child, and handing its frames over."""
BYTES_PER_CALL = 128 << 20
"""Frames that a child hands over at once: memory does not grow with the length of a video."""


def decode_clips(
    *,
    sampling: Sampling,
    size: Size,
    limits: Limits,
    accept: Accept | None = None,
    roots: Roots | None = None,
) -> Callable[[Row], Iterator[Row]]:
    """A step that decodes a video's clips in this process's child.

    roots: where videos may lie; one that lies elsewhere by then is an error "OutsideRoots".

    In: `uri` (a path or a remote address), `spans` (a list of {clip_index, start_s, end_s}),
    `size_bytes` (if the file must still have it) and any other keys. Out: a row for each span, with
    the other keys passed on, the span, and frame_indices, pts_s, shape, dtype, frames, decode_s,
    bytes_fetched. A video that cannot be read gives one row of the same keys instead, with
    clip_index -1 and no frames: `stage`, `error_class` and `message` say why; in good rows these
    are empty. decode_s is the video's share of seconds for this row. A long video is read in
    several calls, each within `limits`. Where a call fails, the clips of those before it stand,
    with `accept.truncated` also those that it had read, and the failed row comes last. Raises
    StoreAwayError where an object store does not answer: waiting for it is not within `limits`.
    """

    store_s = storage.patience_s()

    def decode(row: Row) -> Iterator[Row]:
        passed_on = {key: value for key, value in row.items() if key != "spans"}
        is_here = isinstance(storage.at(row["uri"]), Path)
        within = limits if is_here else replace(limits, timeout_s=limits.timeout_s + store_s)
        for part in _parts(list(row["spans"]), sampling=sampling, size=size):
            started = time.monotonic()
            read = isolate.shared().outcome(
                _read_rows,
                row["uri"],
                sampling,
                size,
                [(span["start_s"], span["end_s"]) for span in part],
                limits,
                accept,
                row.get("size_bytes"),
                roots,
                limits=within,
            )
            elapsed_s = time.monotonic() - started
            if isinstance(read, MediaError):  # with nothing else: the child is gone
                read = _Read(rows=[], error=read, child_s=elapsed_s, bytes_fetched=0)
            num_rows = max(1, len(read.rows))
            status = _status(decode_s=elapsed_s / num_rows) | {
                TRANSFER: max(0.0, elapsed_s - read.child_s) / num_rows
            }
            fetched = iter([read.bytes_fetched])  # by the first row: the sum is what counts
            for span, clip in zip(part, read.rows, strict=False):
                yield passed_on | span | clip | status | {FETCHED: next(fetched, 0)}
            if read.error is not None:
                failed = _failed_row(read.error, decode_s=0.0 if read.rows else elapsed_s)
                yield passed_on | failed | {FETCHED: next(fetched, 0)}
                return

    return decode


def _parts(spans: list[Row], *, sampling: Sampling, size: Size) -> Iterator[list[Row]]:
    """The spans that one call reads: as many as their frames may fill `BYTES_PER_CALL`."""
    part: list[Row] = []
    num_frames = 0
    most = max(1, BYTES_PER_CALL // (size.height * size.width * 3))
    for span in spans:
        more = sampling.most_frames(start_s=span["start_s"], end_s=span["end_s"])
        if part and num_frames + more > most:
            yield part
            part, num_frames = [], 0
        part.append(span)
        num_frames += more
    if part:
        yield part


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What a child hands over: the rows that are whole, and the error that ended them, if any."""

    rows: list[Row]
    error: MediaError | None
    child_s: float
    bytes_fetched: int


def _read_rows(
    uri: str,
    sampling: Sampling,
    size: Size,
    spans: list[tuple[float, float]],
    limits: Limits,
    accept: Accept | None,
    size_bytes: int | None,
    roots: Roots | None,
) -> _Read:
    """Runs in the child: the clips as plain values, which are cheap to send."""
    started = time.monotonic()
    cost = Cost()
    try:
        place = roots.find(uri) if roots else uri
    except OSError as outside:
        refused = MediaError(type(outside).__name__, str(outside))
        return _Read(rows=[], error=refused, child_s=time.monotonic() - started, bytes_fetched=0)
    clips = read_clips(
        place,
        sampling=sampling,
        size=size,
        spans=spans,
        limits=limits,
        accept=accept,
        cost=cost,
        size_bytes=size_bytes,
    )
    rows: list[Row] = []
    error = None
    try:
        rows.extend(_clip_row(clip) for clip in clips)
    except MediaError as caught:
        error = caught
        if not (accept and accept.truncated):
            rows = []
    return _Read(
        rows=rows,
        error=error,
        child_s=time.monotonic() - started,
        bytes_fetched=cost.bytes_fetched,
    )


def _clip_row(clip: Clip) -> Row:
    return {
        "frame_indices": clip.frame_indices.tolist(),
        "pts_s": clip.pts_s.tolist(),
        "shape": list(clip.frames_thwc.shape),
        "dtype": "uint8",
        # Arrives as bytes, and is copied once on its way.
        "frames": PickleBuffer(np.ascontiguousarray(clip.frames_thwc).data),
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
