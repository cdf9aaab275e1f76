"""What predict found, for people: the clips that the model is most and least sure of, with frames.

A worker sends thumbnails of a clip only when it is among the extremes of what the worker has seen
so far: of 100,000 clips a few hundred, whatever their number in a batch.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from videoproc import runlog, schema
from videoproc.masking import masked_uri
from videoproc.media import write_video
from videoproc.media.sheet import Cell, contact_sheet, draw_sheet, evenly, shrunk
from videoproc.tables.frames import FrameFormat, decode_frames, encode_frames
from videoproc.types import Row

SHEET, MOVING = "predictions.jpg", "predictions.mp4"
"""Artifacts of the run. MLflow shows these kinds; it shows no WebP."""

NEEDED = {"label", "probability"}
"""The columns of a task's predictions that a caption is made of; a task without has no pictures."""

SHEET_FRAMES = 4  # of a clip, side by side
MOVING_FRAMES = 8
MOVING_FPS = 4
MOVING_CRF = 28  # half the bytes of 23, and captions stay sharp
ROUNDS = 3  # a player may not loop
SIDE_PX = 128
THUMBNAIL = FrameFormat(encoding="jpeg", quality=85)

SHOWN = pa.struct(
    [
        *[(name, pa.string()) for name in ("clip_id", "video_id", "label", "dtype", "encoding")],
        *[(name, pa.float64()) for name in ("probability", "start_s", "end_s")],
        ("shape", pa.list_(pa.int32())),
        ("frames", pa.list_(pa.binary())),
    ]
)
"""A clip on its way to the driver; its frames as in the clips table."""

COLUMN = "shown"


def rank(told: Sequence[tuple[float, str]], *, count: int) -> list[tuple[float, str]]:
    """The `count` most and the `count` least probable of (probability, clip id), each once, the
    most probable first. The ranks of what is ranked and of more are those of all."""
    ranked = sorted(set(told), key=lambda one: (-one[0], one[1]))
    return ranked if len(ranked) <= 2 * count else ranked[:count] + ranked[-count:]


class Picturing:
    """A model's stage that adds thumbnails of its extremes. Holds state, so it is a class.

    job: whose extremes; Ray's workers keep a stage from one call of predict to the next.
    """

    def __init__(
        self, make: Callable[[], Callable[[pa.Table], pa.Table]], *, count: int, job: str
    ) -> None:
        self._predict, self._count, self.job = make(), count, job
        self._extremes: list[tuple[float, str]] = []

    def __call__(self, batch: pa.Table) -> pa.Table:
        told = self._predict(batch)
        ids, probabilities = told["clip_id"].to_pylist(), told["probability"].to_pylist()
        new = [
            (probability, clip_id)
            for probability, clip_id in zip(probabilities, ids, strict=True)
            if probability is not None  # failed
        ]
        self._extremes = rank([*self._extremes, *new], count=self._count)
        wanted = {clip_id for _, clip_id in self._extremes}
        shown = [
            _thumbnails(batch, told, i)
            if probabilities[i] is not None and clip_id in wanted
            else None
            for i, clip_id in enumerate(ids)
        ]
        return told.append_column(COLUMN, pa.array(shown, SHOWN))


def _thumbnails(batch: pa.Table, told: pa.Table, i: int) -> Row:
    clip = batch.select(["frames", "shape", "dtype"]).slice(i, 1).to_pylist()[0]
    frames = shrunk(evenly(schema.frames_of(clip), MOVING_FRAMES), side_px=SIDE_PX)
    about = ["clip_id", "video_id", "label", "probability", "start_s", "end_s"]
    return told.select(about).slice(i, 1).to_pylist()[0] | {
        "shape": list(frames.shape),
        "dtype": str(frames.dtype),
        "encoding": THUMBNAIL.encoding,
        "frames": encode_frames(frames, THUMBNAIL),
    }


def with_shown(sink: Callable[[pa.Table], pa.Table]) -> Callable[[pa.Table], pa.Table]:
    """A sink whose receipts carry what the batch's rows have to show."""

    def step(batch: pa.Table) -> pa.Table:
        shown = pc.drop_null(batch[COLUMN]).to_pylist()
        return sink(batch).append_column(COLUMN, pa.array([shown], pa.list_(SHOWN)))

    return step


@dataclass(kw_only=True)
class Shown:
    """The driver's side: the extremes of all that receipts have brought."""

    count: int
    rows: dict[str, Row] = field(default_factory=dict)

    def watch(self, receipts: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """The receipts, looked into as they pass."""
        for receipt in receipts:
            if new := receipt[COLUMN]:
                rows = self.rows | {row["clip_id"]: row for row in new}
                told = [(row["probability"], clip_id) for clip_id, row in rows.items()]
                self.rows = {clip_id: rows[clip_id] for _, clip_id in rank(told, count=self.count)}
            yield receipt

    def log(self, run: runlog.Run, *, uris: Mapping[str, str]) -> None:
        """Put the pictures into the run. uris: of the videos, by id."""
        if not self.rows:
            return
        # First, so that no picture is there of which `forget` does not know whom it shows.
        run.log_json(sorted({row["video_id"] for row in self.rows.values()}), runlog.PICTURED)
        clips = [decode_frames(row) for row in self.rows.values()]
        captions = [_caption(row, uris.get(row["video_id"], "")) for row in self.rows.values()]

        def sheet(frames: Sequence[np.ndarray]) -> list[Cell | str]:
            made = [
                Cell(frames_hwc=list(of_clip), caption=caption)
                for of_clip, caption in zip(frames, captions, strict=True)
            ]
            most, least = made[: self.count], made[self.count :][::-1]
            if not least:
                return ["All, the most confident first", *most]
            return ["Most confident", *most, "Least confident", *least]

        stills = sheet([evenly(clip, SHEET_FRAMES) for clip in clips])
        run.log_bytes(contact_sheet(stills), SHEET)
        moments = [
            draw_sheet(
                sheet([clip[min(t, len(clip) - 1)][None] for clip in clips]), height_px=SIDE_PX
            )
            for t in range(max(map(len, clips)))
        ]
        run.log_bytes(_video(moments * ROUNDS), MOVING)


def clear(run: runlog.Run) -> None:
    """Empty a run's pictures, since a video that they show is to be forgotten."""
    empty = Cell(frames_hwc=[np.zeros((2, 2, 3), np.uint8)], caption=["a video was forgotten"])
    run.log_bytes(contact_sheet([empty]), SHEET)
    run.log_bytes(_video([draw_sheet([empty])]), MOVING)
    run.log_json([], runlog.PICTURED)


def _caption(row: Row, uri: str) -> list[str]:
    return [
        f"{row['probability']:.1%} {row['label']}",
        PurePosixPath(masked_uri(uri)).name,
        f"{row['start_s']:.1f} to {row['end_s']:.1f} s",
    ]


def _video(pictures: Sequence[np.ndarray]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / MOVING
        write_video(file, pictures, fps=MOVING_FPS, crf=MOVING_CRF)
        return file.read_bytes()
