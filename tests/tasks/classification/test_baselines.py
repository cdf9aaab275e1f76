from __future__ import annotations

import hashlib
from typing import Any

import pytest

from videoproc.tasks.classification.baselines import BASELINES
from videoproc.types import Video

SPEC = {"classes": ["run", "walk"]}


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


def accuracy(name: str, train: list[Video], measured: list[Video]) -> float:
    told = BASELINES[name](train, measured, SPEC, 0).argmax(axis=1)
    labels = [SPEC["classes"].index(str(video.label)) for video in measured]
    return float((told == labels).mean())


@pytest.mark.parametrize("telling", ["fps", "width", "height", "num_frames", "size_bytes"])
def test_a_header_that_gives_the_label_away_is_found_out(telling: str) -> None:
    train, measured = videos("train", telling=telling), videos("test", telling=telling)
    assert accuracy("header_only", train, measured) == 1
    assert accuracy("majority", train, measured) == 0.5


def test_headers_that_say_nothing_are_no_better_than_guessing() -> None:
    assert accuracy("header_only", videos("train"), videos("test")) == 0.5


def test_a_codec_unseen_in_training_is_no_error() -> None:
    new = [video("new", labels=("run",), codec="av1")]
    assert accuracy("header_only", videos("train"), new) in (0.0, 1.0)


def test_the_majority_is_counted_in_samples_and_the_first_of_equals_is_told() -> None:
    run, walk = video("a", labels=("run",)), video("b", labels=("walk",))
    new = [video("new")]
    assert BASELINES["majority"]([run, walk, walk, walk], new, SPEC, 0).tolist() == [[0.25, 0.75]]
    assert accuracy("majority", [walk, run], [run, walk, walk]) == pytest.approx(1 / 3)


def test_a_video_of_many_samples_teaches_its_header_once() -> None:
    train = videos("train", telling="fps")
    once, often = (
        BASELINES["header_only"](given, videos("test"), SPEC, 0)
        for given in (train, [*train[:1] * 30, *train[1:]])
    )
    assert (once == often).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_label_that_is_no_class_is_not_learned(name: str) -> None:
    strange = [video(f"strange {i}", labels=("fly",), fps=99.0) for i in range(50)]
    measured = videos("test")
    told = BASELINES[name]([*videos("train"), *strange], measured, SPEC, 0)
    assert told.shape == (len(measured), 2)
    assert told.sum(axis=1) == pytest.approx([1.0] * len(measured))
