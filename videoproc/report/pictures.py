"""Frames as small pictures for a page."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

QUALITY = 80
SIDE_PX = 96  # the height that a thumbnail is shown with at least
GAP_PX = 2


def strip(frames_thwc: np.ndarray, *, num: int = 6) -> bytes:
    """`num` evenly chosen frames of a clip side by side, as a JPEG. frames_thwc: uint8, RGB."""
    frames = np.asarray(frames_thwc)
    chosen = frames[np.linspace(0, len(frames) - 1, min(num, len(frames))).round().astype(int)]
    return _jpeg(_row([_enlarged(frame) for frame in chosen]))


def contact_sheet(clips_thwc: Sequence[np.ndarray], *, columns: int = 6) -> bytes:
    """The middle frame of each clip, row by row, as a JPEG; clips may differ in size."""
    middles = [_enlarged(clip[len(clip) // 2]) for clip in clips_thwc]
    height, width = (max(frame.shape[axis] for frame in middles) for axis in (0, 1))
    cells = [_padded(frame, height, width) for frame in middles]
    cells += [np.full((height, width, 3), 255, np.uint8)] * (-len(cells) % columns)
    rows = [_row(cells[start : start + columns]) for start in range(0, len(cells), columns)]
    gap = np.full((GAP_PX, rows[0].shape[1], 3), 255, np.uint8)
    parts = [part for row in rows for part in (row, gap)][:-1]
    return _jpeg(np.concatenate(parts))


def _row(frames: Sequence[np.ndarray]) -> np.ndarray:
    gap = np.full((frames[0].shape[0], GAP_PX, 3), 255, np.uint8)
    parts = [part for frame in frames for part in (frame, gap)][:-1]
    return np.concatenate(parts, axis=1)


def _padded(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    cell = np.full((height, width, 3), 255, np.uint8)
    cell[: frame.shape[0], : frame.shape[1]] = frame
    return cell


def _enlarged(frame: np.ndarray) -> np.ndarray:
    """A frame of 48 pixels would be a stamp on a screen."""
    scale = max(1, round(SIDE_PX / frame.shape[0]))
    return np.asarray(frame).repeat(scale, axis=0).repeat(scale, axis=1)


def _jpeg(picture: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture)).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
