"""What the Configs of this folder check, in the user's words."""

from __future__ import annotations

from typing import Any

from videoproc.types import UserError


def check_count(name: str, value: Any) -> None:
    """A whole number of 1 or more."""
    if not _is_count(value):
        raise ValueError(f"{name} is {value!r}: use a whole number of 1 or more")


def check_counts(name: str, values: Any) -> None:
    """One whole number of 1 or more, or several."""
    if not isinstance(values, list | tuple) or not values or not all(map(_is_count, values)):
        raise ValueError(f"{name} is {values!r}: use a list of whole numbers of 1 or more")


def check_dropout(name: str, value: Any) -> None:
    """A share of 0 or more and below 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise ValueError(f"{name} is {value!r}: use a share in [0, 1)")


def check_frame_size(channels: tuple[int, ...], frame_shape: tuple[int, ...]) -> None:
    """Each entry of `channels` halves a frame: a pixel must be left. frame_shape: (T, H, W, C)."""
    height, width = frame_shape[1:3]
    if min(height, width) < 2 ** len(channels):
        raise UserError(
            f"model_settings: channels has {len(channels)} entries, each halves the frame, and "
            f"frames of {width}x{height} are too small for that: use fewer entries or larger frames"
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
