"""Stored clips on the night's page."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from videoproc.report.pictures import middles, moving, strip


def clip(colour: tuple[int, int, int], *, frames: int = 8, height: int = 24, width: int = 32):  # type: ignore[no-untyped-def]
    return np.full((frames, height, width, 3), colour, np.uint8)


def opened(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB")).astype(int)


def test_a_strip_shows_a_clip_from_its_first_to_its_last_frame() -> None:
    frames = clip((0, 0, 0))
    frames[:, :, :, 0] = np.linspace(0, 255, len(frames), dtype=np.uint8)[:, None, None]
    picture = opened(strip(frames))
    width = picture.shape[1]
    assert picture[5, 5, 0] < 20
    assert picture[5, width - 5, 0] > 235


def test_a_strip_of_fewer_frames_than_it_has_room_for_shows_each_once() -> None:
    one, three = (opened(strip(clip((9, 9, 9), frames=n))) for n in (1, 3))
    assert three.shape[1] > 2.9 * one.shape[1]


def test_the_middles_of_clips_of_several_sizes_go_on_one_sheet_in_their_order() -> None:
    clips = [clip((250, 0, 0)), clip((0, 250, 0), height=33, width=17), clip((0, 0, 250))]
    for frames in clips:
        frames[0] = frames[-1] = 255
    picture = opened(middles(clips, columns=2))
    height, width = picture.shape[:2]
    middle = picture[height // 4, width // 4], picture[height // 4, width * 3 // 4]
    assert [int(np.argmax(colour)) for colour in middle] == [0, 1]
    assert int(np.argmax(picture[height * 3 // 4, width // 4])) == 2
    assert picture[height - 5, width - 5].min() > 240, "an empty place is white"


@pytest.mark.parametrize(
    ("span_s", "round_ms"),
    [(1.4, 1600), (600.0, 2000), (0.01, 667)],
    ids=["in its own time", "an hour does not stand still", "what is too fast is slowed down"],
)
def test_a_clip_moves_so_that_something_is_seen(span_s: float, round_ms: int) -> None:
    pts_s = np.linspace(3.0, 3.0 + span_s, 8).tolist()
    frames = np.random.default_rng(0).integers(0, 255, (8, 24, 32, 3), np.uint8)
    picture = Image.open(io.BytesIO(moving(frames, pts_s=pts_s)))
    shown_ms = 0
    for i in range(getattr(picture, "n_frames", 1)):
        picture.seek(i)
        picture.load()
        shown_ms += picture.info["duration"]
    assert shown_ms == pytest.approx(round_ms, abs=5)


def test_a_clip_of_one_frame_stands_still() -> None:
    picture = Image.open(io.BytesIO(moving(clip((9, 9, 9), frames=1), pts_s=[0.0])))
    assert getattr(picture, "n_frames", 1) == 1
