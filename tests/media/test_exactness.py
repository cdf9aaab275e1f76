"""Decoding is exact: whatever the file and whatever the sampling, the frames and times are those
of decoding the whole file plainly. `reference.py` decodes, `ways.py` says what a sampling means."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.media.conftest import Zoo
from tests.media.reference import Reference, ffmpeg_frames, ffprobe_ticks, screen_matrix
from tests.media.ways import WAYS, Way, allowed_frames, expected_spans
from tests.media.zoo import ZOO, Case
from videoproc import media
from videoproc.media import Header, MediaError, Sampling, Size, probe, read_clips
from videoproc.types import Clip

SMALL = (36, 40)
READABLE = [case for case in ZOO if case.error is None]
REFUSED = [case for case in ZOO if case.error is not None]
SIZE_MAY_BE_OMITTED = hasattr(media, "Accept")


def name_of(value: object) -> str | None:
    return value.id if isinstance(value, Case) else None


def cases_and_ways() -> list[Any]:
    return [
        pytest.param(
            case, name, id=f"{case.id}-{name}", marks=[pytest.mark.slow] if way.is_long else []
        )
        for case in READABLE
        for name, way in WAYS.items()
    ]


def read(
    path: Path, way: Way, reference: Reference, *, size: tuple[int, int] | None = SMALL
) -> list[Clip]:
    settings = way.settings(len(reference.frames), reference.duration_s)
    spans = way.spans(reference.duration_s) if way.spans else None
    options = {} if size is None else {"size": Size(height=size[0], width=size[1])}
    return list(read_clips(path, sampling=Sampling(**settings), spans=spans, **options))


def assert_exact(clips: list[Clip], way: Way, reference: Reference) -> None:
    """Frames to the byte, times to the tick, and the frames that the sampling asks for."""
    spans = expected_spans(way, reference)
    assert len(clips) == len(spans)
    times = np.array([float(time) for time in reference.times])
    for clip, (start_s, end_s) in zip(clips, spans, strict=True):
        allowed = allowed_frames(way, reference, start_s=start_s, end_s=end_s)
        assert len(clip.frame_indices) == len(allowed)
        picked = clip.frame_indices.tolist()
        wrong = [(i, a) for i, a in zip(picked, allowed, strict=True) if i not in a]
        assert not wrong, f"{picked} in place of {allowed}"
        assert clip.pts_s.tolist() == pytest.approx(times[picked].tolist(), abs=1e-6)
        differ = [i for i, f in zip(picked, clip.frames_thwc, strict=True)
                  if not np.array_equal(f, reference.frames[i])]  # fmt: skip
        assert not differ, f"frames {differ} of {picked} are not those of the linear decode"


@pytest.mark.parametrize(("case", "way"), cases_and_ways())
def test_clips_are_those_of_a_linear_decode(zoo: Zoo, case: Case, way: str) -> None:
    reference = zoo.reference(case, SMALL)
    assert_exact(read(zoo.path(case), WAYS[way], reference), WAYS[way], reference)


@pytest.mark.parametrize("case", READABLE, ids=name_of)
def test_the_header_says_what_a_linear_decode_finds(zoo: Zoo, case: Case) -> None:
    reference = zoo.reference(case, SMALL)
    header = probe(zoo.path(case))
    assert header.num_frames == len(reference.frames)
    assert (header.height, header.width) == reference.displayed
    assert header.duration_s == pytest.approx(reference.duration_s, abs=1e-6)
    assert header.fps == pytest.approx(header.num_frames / header.duration_s)


@pytest.mark.parametrize("case", REFUSED, ids=name_of)
def test_what_holds_no_video_is_refused(zoo: Zoo, case: Case) -> None:
    for read_it in (probe, lambda path: list(read_clips(path, sampling=Sampling(), size=Size()))):
        with pytest.raises(MediaError) as caught:
            read_it(zoo.path(case))
        assert caught.value.error_class == case.error


if "flags" in {field.name for field in fields(Header)}:

    @pytest.mark.parametrize("case", READABLE, ids=name_of)
    def test_the_header_flags_what_frames_alone_do_not_tell(zoo: Zoo, case: Case) -> None:
        assert set(probe(zoo.path(case)).flags) == set(case.flags)


if SIZE_MAY_BE_OMITTED:

    @pytest.mark.parametrize("case", READABLE, ids=name_of)
    def test_frames_are_as_large_as_displayed_where_no_size_is_given(zoo: Zoo, case: Case) -> None:
        reference = zoo.reference(case, None)
        assert_exact(
            read(zoo.path(case), WAYS["sparse"], reference, size=None), WAYS["sparse"], reference
        )
