"""What is known of a synthetic video: boxes, masks, tracks and events, as plain JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def describe_frames(masks: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    """One entry a frame, from the (T, H, W) masks of the tracks.

    Each entry has, for the tracks present: `track_ids`, `boxes` ([x0, y0, x1, y1] in pixels,
    x1 and y1 just past the last pixel) and `masks` (run lengths, see `encode_mask`).
    """
    frames = []
    for t in range(len(masks[0])):
        present = [track for track, mask in enumerate(masks) if mask[t].any()]
        frames.append(
            {
                "track_ids": present,
                "boxes": [_box(masks[track][t]) for track in present],
                "masks": [encode_mask(masks[track][t]) for track in present],
            }
        )
    return frames


def encode_mask(mask_hw: np.ndarray) -> list[int]:
    """Run lengths of a boolean mask, row by row: out, in, out, ... The first may be 0."""
    flat = mask_hw.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], changes, [flat.size]])).tolist()
    return [0, *lengths] if flat[0] else lengths


def decode_mask(lengths: Sequence[int], *, height: int, width: int) -> np.ndarray:
    """The (H, W) boolean mask of the run lengths. ValueError if they do not fill it."""
    inside = np.arange(len(lengths)) % 2 == 1
    return np.repeat(inside, lengths).reshape(height, width)


def _box(mask_hw: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask_hw.any(axis=1)), np.flatnonzero(mask_hw.any(axis=0))
    return [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
