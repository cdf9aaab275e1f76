"""Stored clips as small pictures for the night's page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videoproc.media.sheet import Cell, contact_sheet, evenly, moving_thumbnail

STRIP_FRAMES = 6
SLOWEST_FPS, FASTEST_FPS = 4.0, 12.0
MOVING_SIDE_PX = 128  # of 12 mistakes, about 0.5 MB of the page


def strip(frames_thwc: np.ndarray) -> bytes:
    """A clip as some frames side by side, as a JPEG file. frames_thwc: uint8, RGB."""
    frames = evenly(np.asarray(frames_thwc), STRIP_FRAMES)
    return contact_sheet([Cell(frames_hwc=list(frames))])


def middles(clips_thwc: Sequence[np.ndarray], *, columns: int) -> bytes:
    """The middle frame of each clip, row by row, as a JPEG file; clips may differ in size."""
    cells = [Cell(frames_hwc=[clip[len(clip) // 2]]) for clip in clips_thwc]
    return contact_sheet(cells, columns=columns)


def moving(frames_thwc: np.ndarray, *, pts_s: Sequence[float]) -> bytes:
    """A clip in motion, as a WebP file: in its own time, where that is neither so slow that
    nothing moves nor so fast that nothing is seen. pts_s: (T,) seconds."""
    span_s = pts_s[-1] - pts_s[0]
    own_fps = (len(pts_s) - 1) / span_s if span_s > 0 else SLOWEST_FPS
    fps = min(max(own_fps, SLOWEST_FPS), FASTEST_FPS)
    return moving_thumbnail(frames_thwc, fps=fps, side_px=MOVING_SIDE_PX)
