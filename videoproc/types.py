"""The values that every room shares. They check themselves once, where they are made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np

Row = dict[str, Any]
"""One row on its way between steps: plain values, bytes and lists, so that Arrow can carry it."""

SECONDS = "seconds_"
"""Columns of this prefix carry how long a step took for a row; they are summed, never stored."""


class UserError(ValueError):
    """What the user can mend: the message names the item, the value and the remedy in one line.

    Jobs print it and end with exit code 2; everything else is a bug and keeps its traceback.
    """


@dataclass(frozen=True, kw_only=True, slots=True)
class Video:
    """One row of the manifest: a file, what its header says, and what is known of it.

    A file that cannot be read has an `error` and no header fields. `width` and `height` are as
    displayed (after rotation), `fps` is the average rate, `num_frames` counts the frames that
    the packet index promises. `flags` name what is out of the ordinary: hdr, interlaced, truncated.
    `labels` are sorted; most corpora give one.
    """

    video_id: str
    digest: str
    uri: str
    size_bytes: int
    codec: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    num_frames: int | None = None
    duration_s: float | None = None
    flags: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    group: str | None = None
    split: str | None = None
    error: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[0-9a-f]{64}", self.digest):
            raise ValueError(f"digest of {self.uri!r} is {self.digest!r}, not SHA-256 in hex")
        if list(self.labels) != sorted(set(self.labels)):
            raise ValueError(f"labels of {self.uri!r} are {self.labels}, not sorted and unique")
        if self.error is None and not (self.num_frames and self.num_frames > 0):
            raise ValueError(f"{self.uri!r} has neither frames nor an error")

    @property
    def label(self) -> str | None:
        """The only label; None where there is none, or more than one."""
        return self.labels[0] if len(self.labels) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Clip:
    """A span of a video, sampled to T frames.

    frames_thwc: uint8, RGB, as displayed. pts_s: (T,) presentation times in seconds.
    frame_indices: (T,) positions among the video's frames in presentation order, from 0.
    The span [start_s, end_s) is what the clip stands for. sampling: the number of the sampling
    that made it, where several did.
    """

    frames_thwc: np.ndarray
    pts_s: np.ndarray
    frame_indices: np.ndarray
    start_s: float
    end_s: float
    sampling: int = 0

    def __post_init__(self) -> None:
        if self.frames_thwc.dtype != np.uint8 or self.frames_thwc.ndim != 4:
            raise ValueError(
                f"frames_thwc is {self.frames_thwc.dtype} {self.frames_thwc.shape}, not uint8 THWC"
            )
        if not len(self.frames_thwc) == len(self.pts_s) == len(self.frame_indices):
            raise ValueError("a clip needs one time and one index for each frame")
