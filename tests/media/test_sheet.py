"""Contact sheets and moving thumbnails, looked at pixel by pixel."""

from __future__ import annotations

import doctest
import io

import numpy as np
import pytest
from PIL import Image

from videoproc.media import sheet as sheet_module
from videoproc.media.sheet import Cell, contact_sheet, draw_sheet, moving_thumbnail, shrunk

RED, GREEN, BLUE = (250, 0, 0), (0, 250, 0), (0, 0, 250)
WHITE = 255


def frame(colour: tuple[int, int, int], height: int = 48, width: int = 64) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def cell(colour: tuple[int, int, int], *caption: str) -> Cell:
    return Cell(frames_hwc=[frame(colour)], caption=caption)


def is_colour(picture: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (np.abs(picture.astype(int) - colour) < 20).all(axis=-1)


def bounds(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Top, bottom, left and right of what is marked."""
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def test_cells_stand_row_by_row_in_their_order() -> None:
    sheet = draw_sheet([cell(RED), cell(GREEN), cell(BLUE)], columns=2, height_px=48)
    red, green, blue = (bounds(is_colour(sheet, colour)) for colour in (RED, GREEN, BLUE))
    assert red == (0, 48, 0, 64)
    assert green[:2] == red[:2]
    assert green[2] > red[3]
    assert blue[2:] == red[2:]
    assert blue[0] > red[1]
    assert (sheet[-1, -1] == WHITE).all(), "an empty place"


@pytest.mark.parametrize("size", [(48, 64), (240, 320), (320, 240), (17, 33), (1, 1), (4, 400)])
def test_every_picture_keeps_its_aspect(size: tuple[int, int]) -> None:
    shown = Cell(frames_hwc=[frame(RED, *size)])
    top, bottom, left, right = bounds(is_colour(draw_sheet([shown, cell(BLUE)]), RED))
    height, width = bottom - top, right - left
    assert abs(height / size[0] - width / size[1]) * min(size) <= 1, "to a pixel"
    assert width <= 3 * 96, "a panorama does not make the sheet as wide as itself"


def test_the_frames_of_a_cell_stand_side_by_side() -> None:
    shown = Cell(frames_hwc=[frame(RED), frame(GREEN), frame(BLUE)])
    lefts = [bounds(is_colour(draw_sheet([shown]), colour))[2] for colour in (RED, GREEN, BLUE)]
    assert lefts == sorted(set(lefts))


def test_without_a_number_of_columns_a_sheet_is_about_as_wide_as_high() -> None:
    height, width = draw_sheet([cell(RED)] * 30).shape[:2]
    assert 0.6 < width / height < 1.7


def test_a_heading_begins_a_new_row() -> None:
    cells = ["first", cell(RED), "second", cell(BLUE)]
    sheet = draw_sheet(cells, columns=2, height_px=48)
    red, blue = (bounds(is_colour(sheet, colour)) for colour in (RED, BLUE))
    assert blue[2:] == red[2:], "one below the other, though there were two columns"
    for top, bottom in ((0, red[0]), (red[1], blue[0])):
        assert (sheet[top:bottom].min(axis=-1) < 100).any(), "the heading, in ink"


def test_a_caption_is_light_on_dark_below_its_picture_and_as_wide_as_the_place() -> None:
    sheet = draw_sheet([cell(RED, "12.4 s", "walk 98%")], height_px=48)
    _, bottom, _, _ = bounds(is_colour(sheet, RED))
    bar = sheet[bottom:]
    assert bar.max(axis=-1).mean() < 100, "dark"
    lines = np.array_split(bar, 2)
    assert all((line.min(axis=-1) > 200).any() for line in lines), "two lines of light letters"
    assert sheet.shape[1] >= 200, "also where the picture is narrower"


HOSTILE = [
    "x" * 100_000,
    "two\nlines\r\tand a tab",
    "\x00\x1b[31mred\x07",
    "file-\udcff.mp4",  # a name that is no UTF-8, as Python holds it
    "Z" + "\u0301" * 200,
    "\u202eright to left",
    "Fußgänger пешеход πεζός مشاة 歩行者 🚶",
    "",
    "   ",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_text_leaves_its_bar(text: str) -> None:
    plain = draw_sheet([cell(RED, "plain"), cell(BLUE, "plain")], columns=1, height_px=48)
    drawn = draw_sheet([cell(RED, text), cell(BLUE, "plain")], columns=1, height_px=48)
    assert drawn.shape == plain.shape
    differing = np.nonzero((drawn != plain).any(axis=(1, 2)))[0]
    _, bottom, _, _ = bounds(is_colour(plain, RED))
    assert all(bottom <= row < bottom + 20 for row in differing)


@pytest.mark.parametrize("text", ["Fußgänger", "пешеход", "πεζός", "مشاة"])
def test_letters_of_many_scripts_are_drawn_and_not_as_boxes(text: str) -> None:
    missing = draw_sheet([cell(RED, "\uffff" * len(text))])
    assert (draw_sheet([cell(RED, text)]) != missing).any()
    one, other = (draw_sheet([cell(RED, letter)]) for letter in text[:2])
    assert (one != other).any(), "boxes would be alike"


def test_what_is_too_long_is_cut_at_its_end() -> None:
    """The cut text begins as the whole one does, and something is between it and the edge."""
    short, long = (
        draw_sheet([cell(RED, text)], height_px=48)[48:] for text in ("walking", "walking" * 50)
    )
    assert (short[:, :50] == long[:, :50]).all()
    assert long[:, -4:].max() < 100, "a margin"


def test_grey_frames_are_shown_too() -> None:
    grey = Cell(frames_hwc=[np.full((48, 64), 77, np.uint8)])
    assert (draw_sheet([grey], height_px=48) == 77).all()


def test_a_sheet_is_a_jpeg_of_what_is_drawn() -> None:
    cells = [cell(RED), cell(BLUE)]
    picture = Image.open(io.BytesIO(contact_sheet(cells)))
    assert picture.format == "JPEG"
    assert np.abs(np.asarray(picture).astype(int) - draw_sheet(cells)).mean() < 3


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: draw_sheet([]), "has no cells"),
        (lambda: draw_sheet(["only a heading"]), "has no cells"),
        (lambda: draw_sheet([cell(RED)], columns=0), "columns is 0"),
        (lambda: Cell(frames_hwc=[]), "has no frames"),
        (lambda: Cell(frames_hwc=[np.zeros((4, 4, 3))]), r"frame 0 of a cell is float64 \(4, 4"),
        (lambda: Cell(frames_hwc=[frame(RED)[:0]]), r"frame 0 of a cell is uint8 \(0, 64, 3\)"),
        (lambda: moving_thumbnail(np.zeros((0, 4, 4, 3), np.uint8), fps=8), r"\(0, 4, 4, 3\)"),
        (lambda: moving_thumbnail(frame(RED), fps=8), r"frames are \(48, 64, 3\)"),
        (lambda: moving_thumbnail(frame(RED)[None], fps=0), "fps is 0"),
    ],
)
def test_what_cannot_be_drawn_is_named(make, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        make()


def played(webp: bytes) -> tuple[list[np.ndarray], list[int]]:
    """The frames of a moving thumbnail, and for how many milliseconds each is shown."""
    picture = Image.open(io.BytesIO(webp))
    assert picture.format == "WEBP"
    frames, shown_ms = [], []
    for i in range(picture.n_frames):  # type: ignore[attr-defined]
        picture.seek(i)
        frames.append(np.asarray(picture.convert("RGB")))
        shown_ms.append(picture.info["duration"])
    return frames, shown_ms


def growing(num_frames: int, height: int = 24, width: int = 32) -> np.ndarray:
    """From black to white."""
    greys = np.linspace(0, 255, num_frames).astype(np.uint8)
    return np.broadcast_to(greys[:, None, None, None], (num_frames, height, width, 3))


def test_a_thumbnail_plays_the_frames_in_their_time_without_end() -> None:
    webp = moving_thumbnail(growing(8), fps=10)
    frames, shown_ms = played(webp)
    assert shown_ms == [100] * 8
    assert [round(float(one.mean())) for one in frames] == pytest.approx(
        np.linspace(0, 255, 8), abs=4
    )
    assert Image.open(io.BytesIO(webp)).info["loop"] == 0


@pytest.mark.parametrize("fps", [30, 29.97, 24])
def test_of_many_frames_some_are_shown_and_the_round_takes_as_long(fps: float) -> None:
    frames, shown_ms = played(moving_thumbnail(growing(100), fps=fps, num_frames=16))
    assert len(frames) == 16
    assert sum(shown_ms) == pytest.approx(100 / fps * 1000, abs=1)
    assert frames[0].mean() < 5
    assert frames[-1].mean() > 250


@pytest.mark.parametrize(("size", "shown"), [((90, 160), (45, 80)), ((40, 80), (40, 80))])
def test_a_thumbnail_is_made_smaller_and_never_larger(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    frames, _ = played(moving_thumbnail(growing(4, *size), fps=8, side_px=80))
    assert frames[0].shape[:2] == shown


def test_a_side_never_shrinks_to_nothing() -> None:
    assert shrunk(growing(2, height=1, width=900), side_px=90).shape == (2, 1, 90, 3)


def test_the_examples_in_the_docstrings_hold() -> None:
    ran = doctest.testmod(sheet_module)
    assert ran.attempted
    assert not ran.failed
