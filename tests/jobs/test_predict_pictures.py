"""Which clips predict shows: the extremes, however the predictions come in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.predict_pictures import THUMBNAIL, Shown, rank
from videoproc import runlog
from videoproc.tables.frames import encode_frames
from videoproc.types import Row

TOLD = st.lists(
    st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.text("abc", min_size=1, max_size=3)),
    unique_by=lambda one: one[1],
)


@given(parts=st.lists(TOLD, max_size=4), count=st.integers(1, 3))
def test_the_extremes_of_parts_are_those_of_the_whole(
    parts: list[list[tuple[float, str]]], count: int
) -> None:
    whole = [one for part in parts for one in part]
    kept: list[tuple[float, str]] = []
    for part in parts:
        kept = rank([*kept, *part], count=count)
    assert kept == rank(whole, count=count)


def test_most_and_least_are_apart_and_few_are_all_ranked() -> None:
    told = [(0.5, "b"), (0.9, "a"), (0.3, "d"), (0.4, "c")]
    assert [name for _, name in rank(told, count=1)] == ["a", "d"]
    assert [name for _, name in rank(told, count=9)] == ["a", "b", "c", "d"]


class Unplugged:
    """A run whose server goes away after its first artifact."""

    def __init__(self) -> None:
        self.logged: dict[str, object] = {}

    def log_json(self, values: object, name: str) -> None:
        self.log_bytes(values, name)

    def log_bytes(self, data: object, name: str) -> None:
        if self.logged:
            raise ConnectionError
        self.logged[name] = data


def clip_row(number: int) -> Row:
    frames = np.zeros((2, 8, 8, 3), np.uint8)
    return {
        "clip_id": f"clip {number}",
        "video_id": f"video {number}",
        "label": "walk",
        "probability": 0.5,
        "start_s": 0.0,
        "end_s": 1.0,
        "shape": list(frames.shape),
        "dtype": "uint8",
        "encoding": THUMBNAIL.encoding,
        "frames": encode_frames(frames, THUMBNAIL),
    }


def test_whom_pictures_show_is_known_before_they_are_shown() -> None:
    run = Unplugged()
    shown = Shown(count=1, rows={f"clip {i}": clip_row(i) for i in range(2)})
    with pytest.raises(ConnectionError):
        shown.log(run, uris={})  # type: ignore[arg-type]
    assert run.logged == {runlog.PICTURED: ["video 0", "video 1"]}
