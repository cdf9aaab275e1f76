"""A decoded frame as it is displayed: scaled, in RGB, turned and mirrored as its header says."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

MAX_SIDE_PX = (1 << 31) - 1  # FFmpeg's own


@dataclass(frozen=True, kw_only=True)
class Size:
    """The height and width of a clip's frames, in pixels, as displayed."""

    height: int = 112
    width: int = 112

    def __post_init__(self) -> None:
        for name, value in (("height", self.height), ("width", self.width)):
            if not 1 <= value <= MAX_SIDE_PX:
                raise ValueError(f"{name} is {value}: give 1 pixel or more, {MAX_SIDE_PX} at most")


@dataclass(frozen=True, kw_only=True)
class Orientation:
    """What a display matrix asks for: mirror left to right first, then turn counter-clockwise."""

    mirrored: bool = False
    quarter_turns: int = 0

    def apply(self, picture_hwc: np.ndarray) -> np.ndarray:
        if self.mirrored:
            picture_hwc = picture_hwc[:, ::-1]
        return np.rot90(picture_hwc, self.quarter_turns)


UPRIGHT = Orientation()


def orientation(frame: av.VideoFrame) -> Orientation:
    """How the frame is to be turned, to the nearest right angle.

    FFmpeg's display matrix maps (x, y) to (a x + c y, b x + d y), y downwards, in 16.16 fixed
    point: rows [a b u], [c d v], [x y w].
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return UPRIGHT
    a, b, _, c, d = np.frombuffer(cast(Any, data), dtype="=i4")[:5] / 65536
    mirrored = bool(a * d - b * c < 0)
    if mirrored:  # the matrix is a mirror of x, followed by a turn: take the mirror out
        a, b = -a, -b
    # A turn by t counter-clockwise on a screen, whose y points down, is [cos -sin], [sin cos].
    degrees = np.degrees(np.arctan2(-b, a))
    return Orientation(mirrored=mirrored, quarter_turns=round(float(degrees) / 90) % 4)


def displayed_size(frame: av.VideoFrame, *, sample_aspect: Fraction | None) -> Size:
    """The frame's size on a screen of square pixels, after its orientation."""
    height, width = frame.height, frame.width
    if sample_aspect and sample_aspect > 0:
        width = max(1, round(width * sample_aspect))
    if orientation(frame).quarter_turns % 2:
        height, width = width, height
    return Size(height=height, width=width)


class Scaler:
    """A decoded frame to an RGB one as displayed: (height, width, 3) uint8."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._reformatter = VideoReformatter()  # keeps its tables from frame to frame

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        turned = orientation(frame)
        height, width = self._size.height, self._size.width
        if turned.quarter_turns % 2:
            height, width = width, height
        # Straight to the small size: a full-size RGB frame never exists.
        small = self._reformatter.reformat(
            frame, width, height, format="rgb24", interpolation=Interpolation.AREA, threads=1
        )
        return turned.apply(small.to_ndarray())
