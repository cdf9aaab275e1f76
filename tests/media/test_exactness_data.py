"""The same exactness on real files, from many cameras and encoders."""

from __future__ import annotations

import functools
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import SHARED_DATA
from tests.media.exact import (
    SMALL,
    assert_exact,
    assert_ffmpegs_pictures,
    assert_ffprobes_times,
    read,
)
from tests.media.reference import Reference, decode_all
from tests.media.ways import WAYS
from videoproc.media import probe

pytestmark = pytest.mark.data

FOLDER = Path(os.environ.get("VIDEOPROC_SHARED_DATA", SHARED_DATA))
SUFFIXES = {".mp4", ".webm", ".mkv", ".avi", ".mov", ".mpg", ".mp3"}
UNREADABLE = {"corrupted.mp4", "zero_bytes.webm", "bad_video.mp4", "with-attached-pic.mp3"}
"""Refused, as tests/media/test_decode.py shows."""


def videos(folder: str) -> list[Path]:
    paths = (path for path in (FOLDER / folder).rglob("*") if path.suffix in SUFFIXES)
    return sorted(path for path in paths if path.name not in UNREADABLE)


CLIPS = videos("clips")
SURVEILLANCE = videos("surveillance_fights")
FEW = set(random.Random(0).sample(SURVEILLANCE, min(12, len(SURVEILLANCE))))

QUICK = ("sparse", "bursts")
SPARING = ("pieces", "spans", "random", "rate", "times", "keyframes", "snapped", "far_snapped")
"""Ways that leave most of a long video alone."""


@functools.cache
def reference_of(path: Path, size: tuple[int, int] = SMALL) -> Reference:
    return decode_all(path, size=size)


def files_and_ways() -> list[Any]:
    slow, quick = [pytest.mark.slow], []  # type: ignore[var-annotated]
    table = [(path, name, quick if name in QUICK else slow) for path in CLIPS
             for name in (*QUICK, *SPARING)]  # fmt: skip
    table += [(path, "sparse", quick if path in FEW else slow) for path in SURVEILLANCE]
    return [
        pytest.param(path, name, marks=marks, id=f"{path.name}-{name}")
        for path, name, marks in table
        if name in WAYS
    ]


@pytest.mark.parametrize(("path", "way"), files_and_ways())
def test_clips_are_those_of_a_linear_decode(path: Path, way: str) -> None:
    reference = reference_of(path)
    assert_exact(read(path, WAYS[way], reference), WAYS[way], reference)


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.name)
def test_the_header_says_what_a_linear_decode_finds(path: Path) -> None:
    reference = reference_of(path)
    header = probe(path)
    assert header.num_frames == len(reference.frames)
    assert (header.height, header.width) == reference.displayed
    assert header.duration_s == pytest.approx(reference.duration_s, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.name)
def test_the_reference_has_ffprobes_times(path: Path) -> None:
    assert_ffprobes_times(path, reference_of(path))


@pytest.mark.slow
@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.name)
def test_the_reference_has_ffmpegs_pictures(path: Path) -> None:
    size = SMALL if reference_of(path).is_upright else reference_of(path).stored
    assert_ffmpegs_pictures(path, reference_of(path, size))
