"""Decoding is exact: whatever the file and whatever the sampling, the frames and times are those
of decoding the whole file plainly. `reference.py` decodes, `ways.py` says what a sampling means."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from tests.media.conftest import Zoo
from tests.media.exact import (
    SMALL,
    assert_exact,
    assert_ffmpegs_pictures,
    assert_ffprobes_times,
    read,
)
from tests.media.reference import decode_all
from tests.media.ways import WAYS
from tests.media.zoo import TRUNCATED, ZOO, Case
from tests.web import Web
from videoproc import media
from videoproc.media import Header, MediaError, Sampling, Size, probe, read_clips, source

READABLE = [case for case in ZOO if case.error is None]
FLAGGED = [case for case in READABLE if case.flags]
REFUSED = [case for case in ZOO if case.error is not None]
HAS_ACCEPT = hasattr(media, "Accept")


def name_of(value: object) -> str | None:
    return value.id if isinstance(value, Case) else None


def cases_and_ways() -> list[Any]:
    return [
        pytest.param(
            case, name, id=f"{case.id}-{name}", marks=[pytest.mark.slow] if way.is_long else []
        )
        for case in READABLE
        for name, way in WAYS.items()
        if not ("refresh" in case.name and name.startswith("keyframes"))
    ]


@pytest.mark.parametrize(("case", "way"), cases_and_ways())
def test_clips_are_those_of_a_linear_decode(zoo: Zoo, case: Case, way: str) -> None:
    reference = zoo.reference(case, SMALL)
    assert_exact(read(zoo.path(case), WAYS[way], reference), WAYS[way], reference)


@pytest.mark.parametrize("case", READABLE, ids=name_of)
def test_a_file_that_is_too_large_to_hold_is_read_as_exactly(
    zoo: Zoo, monkeypatch: pytest.MonkeyPatch, case: Case
) -> None:
    reference, full_size = zoo.reference(case, SMALL), zoo.reference(case, None)
    held = probe(zoo.path(case))
    monkeypatch.setattr(source, "HELD_BYTES", 0)
    assert probe(zoo.path(case)) == held
    for way in (WAYS["all"], WAYS["spans"]):
        assert_exact(read(zoo.path(case), way, reference), way, reference)
    sparse = WAYS["sparse"]
    assert_exact(read(zoo.path(case), sparse, full_size, size=None), sparse, full_size)


@pytest.mark.parametrize("case", READABLE, ids=name_of)
def test_a_file_of_a_web_server_is_read_as_exactly(zoo: Zoo, web: Web, case: Case) -> None:
    reference, full_size = zoo.reference(case, SMALL), zoo.reference(case, None)
    uri = web.put(f"/v{zoo.path(case).suffix}", zoo.path(case).read_bytes())
    assert probe(uri) == probe(zoo.path(case))
    for way in (WAYS["all"], WAYS["spans"]):
        assert_exact(read(uri, way, reference), way, reference)
    sparse = WAYS["sparse"]
    assert_exact(read(uri, sparse, full_size, size=None), sparse, full_size)


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_key_frames_are_those_that_the_packets_mark(zoo: Zoo, suffix: str) -> None:
    """Of intra refresh the decoder calls the first frame alone a key frame."""
    case = next(case for case in ZOO if case.name == f"h264_intra_refresh.{suffix}")
    reference = zoo.reference(case, SMALL)
    (clip,) = read_clips(
        zoo.path(case), sampling=Sampling(pick="keyframes"), size=Size(height=36, width=40)
    )
    assert clip.frame_indices.tolist() == [0, 12, 24, 36]
    np.testing.assert_array_equal(clip.frames_thwc, reference.frames[[0, 12, 24, 36]])


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


if HAS_ACCEPT:

    @pytest.mark.parametrize("case", READABLE, ids=name_of)
    def test_frames_are_as_large_as_displayed_where_no_size_is_given(zoo: Zoo, case: Case) -> None:
        reference = zoo.reference(case, None)
        assert_exact(
            read(zoo.path(case), WAYS["sparse"], reference, size=None), WAYS["sparse"], reference
        )

    @pytest.mark.parametrize("case", READABLE, ids=name_of)
    def test_several_samplings_in_one_pass_give_what_each_gives_alone(zoo: Zoo, case: Case) -> None:
        reference = zoo.reference(case, SMALL)
        ways = [WAYS[name] for name in ("bursts", "overlapping", "rate", "random")]
        samplings = [
            Sampling(**way.settings(len(reference.frames), reference.duration_s)) for way in ways
        ]
        size = Size(height=SMALL[0], width=SMALL[1])
        clips = list(read_clips(zoo.path(case), sampling=samplings, size=size))
        for number, way in enumerate(ways):
            assert_exact([clip for clip in clips if clip.sampling == number], way, reference)

    @pytest.mark.parametrize("case", FLAGGED, ids=name_of)
    def test_what_is_flagged_can_be_refused(zoo: Zoo, case: Case) -> None:
        accept = media.Accept(hdr="hdr" not in case.flags, interlaced=False)
        with pytest.raises(MediaError) as caught:
            list(read_clips(zoo.path(case), sampling=Sampling(), accept=accept))
        assert caught.value.error_class == "Refused"

    @pytest.mark.parametrize("case", [case for case in TRUNCATED if case.error], ids=name_of)
    def test_what_ends_too_early_is_flagged_and_refused(zoo: Zoo, case: Case) -> None:
        assert "truncated" in probe(zoo.path(case)).flags
        with pytest.raises(MediaError) as caught:
            list(read_clips(zoo.path(case), sampling=Sampling()))
        assert caught.value.error_class == case.error

    @pytest.mark.parametrize("case", TRUNCATED, ids=name_of)
    def test_of_what_ends_too_early_the_rest_can_be_had(zoo: Zoo, case: Case) -> None:
        """Up to the last frames: FFmpeg mends a broken one with whatever memory it finds."""
        reference = decode_all(zoo.path(case), size=SMALL, is_cut=True)
        (clip,) = read_clips(
            zoo.path(case),
            sampling=Sampling(num_frames=len(reference.frames)),
            size=Size(height=SMALL[0], width=SMALL[1]),
            accept=media.Accept(truncated=True),
        )
        assert clip.frame_indices.tolist() == list(range(len(reference.frames)))
        np.testing.assert_array_equal(clip.frames_thwc[:-3], reference.frames[:-3])


# The reference itself is judged by FFmpeg's own programs.

TIMES_DIFFER = {
    "mpeg1.avi": "ffprobe 5.1 places the first frame a frame too early",
}
PICTURES_DIFFER = {
    "size_changes.ts": "ffmpeg scales the second size to the first before it scales to ours",
    "grey_hevc.mp4": "ffmpeg 5.1 takes limited grey for full where it scales",
}


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [case for case in READABLE if case.name not in TIMES_DIFFER], ids=name_of
)
def test_the_reference_has_ffprobes_times(zoo: Zoo, case: Case) -> None:
    assert_ffprobes_times(zoo.path(case), zoo.reference(case, SMALL))


@pytest.mark.slow
@pytest.mark.parametrize(
    "case", [case for case in READABLE if case.name not in PICTURES_DIFFER], ids=name_of
)
def test_the_reference_has_ffmpegs_pictures(zoo: Zoo, case: Case) -> None:
    """Turned ones are compared unscaled: ffmpeg turns first, and colour is halved along the way."""
    size = SMALL if zoo.reference(case, SMALL).is_upright else zoo.reference(case, SMALL).stored
    assert_ffmpegs_pictures(zoo.path(case), zoo.reference(case, size))
