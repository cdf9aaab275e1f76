from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from videoproc.report.pictures import contact_sheet, strip


def clip(colour: tuple[int, int, int], *, frames: int = 8, height: int = 24, width: int = 32):  # type: ignore[no-untyped-def]
    return np.full((frames, height, width, 3), colour, np.uint8)


def opened(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)


def test_a_strip_shows_a_clip_from_its_first_to_its_last_frame() -> None:
    frames = clip((0, 0, 0))
    frames[:, :, :, 0] = np.linspace(0, 255, len(frames), dtype=np.uint8)[:, None, None]
    picture = opened(strip(frames, num=4))
    width = picture.shape[1]
    assert picture[5, 5, 0] < 20
    assert picture[5, width - 5, 0] > 235


def test_a_strip_of_fewer_frames_than_asked_for_shows_each_once() -> None:
    one, three = (opened(strip(clip((9, 9, 9), frames=n))) for n in (1, 3))
    assert three.shape[1] > 2.9 * one.shape[1]


def test_a_sheet_shows_the_clips_row_by_row_in_their_order() -> None:
    clips = [clip((250, 0, 0)), clip((0, 250, 0)), clip((0, 0, 250))]
    picture = opened(contact_sheet(clips, columns=2))
    height, width = picture.shape[:2]
    corners = [picture[5, 5], picture[5, width - 5], picture[height - 5, 5]]
    assert [int(np.argmax(colour)) for colour in corners] == [0, 1, 2]
    assert picture[height - 5, width - 5].min() > 240, "an empty cell is white"


@pytest.mark.parametrize("size", [(24, 32), (33, 17), (120, 90)])
def test_clips_of_several_sizes_go_on_one_sheet(size: tuple[int, int]) -> None:
    clips = [clip((1, 1, 1)), clip((2, 2, 2), height=size[0], width=size[1])]
    assert opened(contact_sheet(clips)).ndim == 3
