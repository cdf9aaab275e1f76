"""Frames as small pictures for people: contact sheets with captions, and moving thumbnails."""

from __future__ import annotations

import functools
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

QUALITY = 80
GAP_PX = 4
TEXT_PX = 14
LINE_PX = 20
MAX_ASPECT = 3.0  # width by height that a frame may have before it is made lower than the others
MIN_CAPTION_PX = 200  # about 25 letters
MAX_CHARS = 400  # of a line, before it is measured: no line is wider in pixels
GROUND, INK = "white", "black"
BAR, BAR_INK = "#24292f", "white"

LANCZOS = Image.Resampling.LANCZOS

MOVING_FRAMES = 16
MOVING_SIDE_PX = 160
MOVING_QUALITY = 50


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One place of a contact sheet: frames side by side, and under them a bar with the caption.

    frames_hwc: uint8, RGB (H, W, 3) or grey (H, W); they may differ in size. caption: a line of
    text each; whatever it holds, it stays within its bar, and what is too long ends in "…".
    """

    frames_hwc: Sequence[np.ndarray]
    caption: Sequence[str] = ()

    def __post_init__(self) -> None:
        if len(self.frames_hwc) == 0:
            raise ValueError("a cell has no frames: give one or more")
        for i, frame in enumerate(self.frames_hwc):
            _check(frame, f"frame {i} of a cell")


def draw_sheet(
    cells: Sequence[Cell | str], *, columns: int | None = None, height_px: int = 96
) -> np.ndarray:
    """A contact sheet as an RGB picture, (H, W, 3) uint8: the cells row by row in a grid.

    A text among the cells is a heading: it begins a new row. columns: by default as many as make
    the sheet about as wide as high. height_px: what frames are shown in, their aspect kept.
    Labels in the letters of Latin, Greek, Cyrillic, Arabic and others of DejaVu Sans are drawn;
    a letter that it has not is a box.
    """
    if not any(isinstance(cell, Cell) for cell in cells):
        raise ValueError("a contact sheet has no cells: give one or more")
    if columns is not None and columns < 1:
        raise ValueError(f"columns is {columns}: use 1 or more")
    strips = [
        cell if isinstance(cell, str) else _strip(cell, height_px=height_px) for cell in cells
    ]
    drawn = [strip for strip in strips if isinstance(strip, Image.Image)]
    num_lines = max(len(cell.caption) for cell in cells if isinstance(cell, Cell))
    width = max([MIN_CAPTION_PX if num_lines else 1, *(strip.width for strip in drawn)])
    height = height_px + LINE_PX * num_lines
    if columns is None:
        columns = round((len(drawn) * height / width) ** 0.5)
    columns = min(max(columns, 1), len(drawn))
    places, total_height = _places(strips, columns=columns, height=height)
    total_width = columns * (width + GAP_PX) - GAP_PX
    sheet = Image.new("RGB", (total_width, total_height), GROUND)
    for cell, strip, (column, top) in zip(cells, strips, places, strict=True):
        left = column * (width + GAP_PX)
        if isinstance(cell, str):
            sheet.paste(_draw_line(cell, width=total_width, ink=INK, ground=GROUND), (left, top))
            continue
        assert isinstance(strip, Image.Image)
        sheet.paste(strip, (left + (width - strip.width) // 2, top))
        for i, text in enumerate(cell.caption):
            line = _draw_line(text, width=width, ink=BAR_INK, ground=BAR)
            sheet.paste(line, (left, top + height_px + LINE_PX * i))
    return np.asarray(sheet)


def contact_sheet(
    cells: Sequence[Cell | str], *, columns: int | None = None, height_px: int = 96
) -> bytes:
    """`draw_sheet` as a JPEG file.

    >>> cells = [
    ...     Cell(frames_hwc=[np.full((48, 64, 3), grey, np.uint8)], caption=[f"{t:.1f} s"])
    ...     for t, grey in enumerate((0, 90, 180))
    ... ]
    >>> sheet = contact_sheet(cells)
    >>> Image.open(io.BytesIO(sheet)).format
    'JPEG'
    """
    return jpeg(draw_sheet(cells, columns=columns, height_px=height_px))


def moving_thumbnail(
    frames_thwc: np.ndarray,
    *,
    fps: float,
    num_frames: int = MOVING_FRAMES,
    side_px: int = MOVING_SIDE_PX,
) -> bytes:
    """A small picture that moves, without end, as a WebP file.

    frames_thwc: (T, H, W, 3) uint8, RGB. Of more than `num_frames` frames so many are shown,
    evenly chosen, each for longer: one round takes T / fps seconds all the same. Frames are made
    smaller, never larger, so that no side is longer than `side_px`.

    >>> moving = moving_thumbnail(np.zeros((8, 24, 32, 3), np.uint8), fps=8)
    >>> Image.open(io.BytesIO(moving)).format
    'WEBP'
    """
    frames = np.asarray(frames_thwc)
    if frames.ndim != 4 or not len(frames):
        raise ValueError(f"frames are {frames.shape}: give (T, H, W, 3) with one frame or more")
    if not fps > 0:
        raise ValueError(f"fps is {fps}: give a number above 0")
    _check(frames[0], "frame 0")
    chosen = shrunk(evenly(frames, num_frames), side_px=side_px)
    pictures = [Image.fromarray(frame) for frame in chosen]
    ends_ms = np.round(np.arange(1, len(chosen) + 1) * len(frames) / fps / len(chosen) * 1000)
    shown_ms = np.diff(ends_ms, prepend=0).astype(int).clip(min=1).tolist()
    buffer = io.BytesIO()
    # 16 frames of three real clips, 112 pixels wide: 26, 8 and 8 KB; as GIF 156, 106 and 90.
    pictures[0].save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=shown_ms,
        loop=0,
        quality=MOVING_QUALITY,
        method=4,
    )
    return buffer.getvalue()


def evenly(frames: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the frames (T, ...), from the first to the last."""
    chosen = np.linspace(0, len(frames) - 1, min(count, len(frames))).round().astype(int)
    return frames[chosen]


def shrunk(frames_thwc: np.ndarray, *, side_px: int) -> np.ndarray:
    """The frames (T, H, W, 3), made smaller where a side is longer than `side_px`."""
    height, width = frames_thwc.shape[1:3]
    scale = side_px / max(height, width)
    if scale >= 1:
        return frames_thwc
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pictures = [Image.fromarray(frame).resize(size, LANCZOS) for frame in frames_thwc]
    return np.stack([np.asarray(picture) for picture in pictures])


def jpeg(picture_hwc: np.ndarray, *, quality: int = QUALITY) -> bytes:
    """A picture, (H, W, 3) uint8 RGB, as a JPEG file."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(picture_hwc)).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _check(frame: np.ndarray, name: str) -> None:
    shape = np.shape(frame)
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] == 3)
    if frame.dtype != np.uint8 or not fits or 0 in shape:
        raise ValueError(f"{name} is {frame.dtype} {shape}: give uint8, (H, W, 3) RGB or (H, W)")


def _places(
    strips: Sequence[Image.Image | str], *, columns: int, height: int
) -> tuple[list[tuple[int, int]], int]:
    """Column and top of each cell and heading, and the height of all."""
    places = []
    column = top = bottom = 0
    for strip in strips:
        is_heading = isinstance(strip, str)
        if is_heading or column == columns:
            column, top = 0, bottom
        places.append((column, top))
        bottom = top + (LINE_PX if is_heading else height) + GAP_PX
        column = columns if is_heading else column + 1
    return places, bottom - GAP_PX


def _strip(cell: Cell, *, height_px: int) -> Image.Image:
    """The frames side by side, in the middle of their height."""
    frames = [_scaled(frame, height_px) for frame in cell.frames_hwc]
    width = sum(frame.width + GAP_PX // 2 for frame in frames) - GAP_PX // 2
    strip = Image.new("RGB", (width, height_px), GROUND)
    left = 0
    for frame in frames:
        strip.paste(frame, (left, (height_px - frame.height) // 2))
        left += frame.width + GAP_PX // 2
    return strip


def _scaled(frame: np.ndarray, height_px: int) -> Image.Image:
    height, width = frame.shape[:2]
    scale = min(height_px / height, height_px * MAX_ASPECT / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    picture = Image.fromarray(np.ascontiguousarray(frame)).convert("RGB")
    return picture.resize(size, LANCZOS)


def _draw_line(text: str, *, width: int, ink: str, ground: str) -> Image.Image:
    # A picture of its own: no mark above or below a letter reaches what is beside the line.
    line = Image.new("RGB", (width, LINE_PX), ground)
    left, baseline = 4, LINE_PX - 6
    fitting = _fitting(_plain(text), width - 2 * left)
    ImageDraw.Draw(line).text((left, baseline), fitting, fill=ink, font=_font(), anchor="ls")
    return line


def _plain(text: str) -> str:
    """One line of letters: names of files and labels may hold anything."""
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))


def _fitting(text: str, width_px: int) -> str:
    """The text, or as much of its beginning as fits with "…" behind it."""
    cut = text[:MAX_CHARS]
    if cut == text and _font().getlength(text) <= width_px:
        return text
    while cut and _font().getlength(cut + "…") > width_px:
        cut = cut[:-1]
    return cut.rstrip() + "…"


@functools.cache
def _font() -> ImageFont.FreeTypeFont:
    import matplotlib as mpl  # brings DejaVu Sans, which has more letters than Pillow's own

    return ImageFont.truetype(Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf", TEXT_PX)
