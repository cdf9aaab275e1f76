from __future__ import annotations

import hashlib
from typing import Any

import pytest

from videoproc.tasks.classification.baselines import baselines
from videoproc.types import Video


def video(name: str, **known: Any) -> Video:
    digest = hashlib.sha256(name.encode()).hexdigest()
    header = {"codec": "h264", "width": 64, "height": 48, "fps": 24.0, "duration_s": 2.0}
    return Video(
        video_id=digest[:32],
        digest=digest,
        uri=name,
        **({"size_bytes": 1000, "num_frames": 48} | header | known),
    )


def videos(part: str, *, telling: str | None = None) -> list[Video]:
    """Twenty of each of two classes; `telling` names a header field that gives the class away."""
    return [
        video(f"{part} {label} {i}", labels=(label,), **({telling: value} if telling else {}))
        for label, value in (("run", 30), ("walk", 60))
        for i in range(20)
    ]


@pytest.mark.parametrize("telling", ["fps", "width", "height", "num_frames", "size_bytes"])
def test_a_header_that_gives_the_label_away_is_found_out(telling: str) -> None:
    found = baselines(videos("train", telling=telling), videos("test", telling=telling))
    assert found == {"header_only_accuracy": 1.0}


def test_headers_that_say_nothing_are_no_better_than_guessing() -> None:
    assert baselines(videos("train"), videos("test")) == {"header_only_accuracy": 0.5}


def test_a_codec_unseen_in_training_is_no_error() -> None:
    found = baselines(videos("train"), [video("new", labels=("run",), codec="av1")])
    assert found["header_only_accuracy"] in (0.0, 1.0)


def test_without_labels_there_is_nothing_to_measure() -> None:
    assert baselines(videos("train"), [video("new")]) == {}
