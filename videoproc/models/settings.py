"""What the Configs of this folder check, in the user's words."""

from __future__ import annotations

from collections.abc import Iterable
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


def check_choice(name: str, value: Any, choices: Iterable[str]) -> None:
    """One of a few words."""
    if value not in tuple(choices):
        raise ValueError(f"{name} is {value!r}: use {' or '.join(choices)}")


def check_flag(name: str, value: Any) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}: use true or false")


def check_heads(heads: Any, *, name: str, width: int) -> None:
    """A number of attention heads, each with an equal part of the width of that name."""
    check_count("heads", heads)
    if width % heads:
        raise ValueError(f"heads is {heads} and {name} is {width}: use heads that divide it")


def check_frames(frame_shape: tuple[int, ...], *, halvings: int) -> None:
    """RGB frames in which a pixel is left after so many halvings. frame_shape: (T, H, W, C).

    Errors: UserError where the frames are others.
    """
    height, width, colours = frame_shape[1:]
    if colours != 3:
        raise UserError(f"model: frames have {colours} channels, and the models take 3 (RGB)")
    if min(height, width) < 2**halvings:
        raise UserError(
            f"model_settings: with these channels the network halves a frame {halvings} times, and "
            f"frames of {width}x{height} are too small for that: use fewer entries or larger frames"
        )


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
