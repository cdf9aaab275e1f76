"""What exact means, as assertions over one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.media.reference import Reference, ffmpeg_frames, ffprobe_ticks
from tests.media.ways import Way, allowed_frames, expected_spans
from videoproc.media import Sampling, Size, read_clips
from videoproc.types import Clip

SMALL = (36, 40)
"""Height and width at which frames are compared."""


def read(
    uri: Path | str, way: Way, reference: Reference, *, size: tuple[int, int] | None = SMALL
) -> list[Clip]:
    settings = way.settings(len(reference.frames), reference.duration_s)
    spans = way.spans(reference.duration_s) if way.spans else None
    options = {} if size is None else {"size": Size(height=size[0], width=size[1])}
    return list(read_clips(uri, sampling=Sampling(**settings), spans=spans, **options))


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


def assert_ffprobes_times(path: Path, reference: Reference) -> None:
    """To the tick, for every frame of which ffprobe tells a time that is after those before."""
    told = ffprobe_ticks(path, stream_index=reference.stream_index)
    assert len(told) == len(reference.ticks)
    offset = next(
        (t - ours for t, ours in zip(told, reference.ticks, strict=True) if t is not None), 0
    )
    latest: int | None = None
    for ours, theirs in zip(reference.ticks, told, strict=True):
        if theirs is not None and (latest is None or theirs > latest):
            latest = theirs
            assert ours + offset == theirs


def assert_ffmpegs_pictures(path: Path, reference: Reference) -> None:
    size = reference.frames.shape[1], reference.frames.shape[2]
    theirs = ffmpeg_frames(path, stream_index=reference.stream_index, size=size)
    assert len(theirs) == len(reference.frames)
    theirs = theirs[list(reference.order)]
    difference = np.abs(theirs.astype(np.int16) - reference.frames).mean()
    assert difference <= (1 if reference.bits == 8 else 3)
