"""The report as a stranger reads it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from videoproc.corpus.giveaway import HeaderOnly
from videoproc.corpus.near_duplicates import Found, NearDuplicates, Pair
from videoproc.corpus.readiness import Readiness, balance, durations, ranges
from videoproc.corpus.readiness_text import WIDTH, to_text

FOUND = NearDuplicates(
    compared=4,
    copies=1,
    touched={"train": 1, "val": 0, "test": 1},
    pairs=[
        Pair(
            videos=(
                Found(uri="s3://bucket/corpus/walk/0.mp4", split="train", group="cam0"),
                Found(uri="s3://bucket/corpus/run/copy.mp4", split="test", group=None),
            ),
            bits=3.2,
        )
    ],
)

HEADERS = HeaderOnly(
    videos=4,
    groups=4,
    folds=2,
    accuracy=0.75,
    interval=(0.5, 1.0),
    majority_label="walk",
    majority_share=0.5,
    lead_interval=(-0.25, 0.5),
    alone={"resolution": 0.75, "codec": 0.25},
)


@pytest.fixture
def report(make_video) -> Readiness:
    videos = [
        make_video(
            f"/corpus/{i}.mp4",
            label=("walk", "run")[i % 2],
            split=("train", "test")[i // 2],
            width=(640, 320)[i == 3],
            height=240,
            duration_s=2.0 + i,
        )
        for i in range(4)
    ]
    return Readiness(
        videos=4,
        unreadable=1,
        hours=0.004,
        groups=0,
        labels=balance(videos),
        durations=durations(videos),
        resolutions=ranges(videos, lambda v: f"{v.width}x{v.height}"),
        codecs=ranges(videos, lambda _: "h264"),
        frame_rates=ranges(videos, lambda v: v.uri),
        header_only=HEADERS,
        near_duplicates=FOUND,
    )


@pytest.mark.parametrize(
    "line",
    [
        "Readiness: 4 videos, 0.00 hours, no groups known, 1 file unreadable",
        "Label   videos    share    hours   groups    train      val     test",
        "run          2   50.0 %     0.00        -        1        0        1",
        "Durations: 2 s to 5 s, half of them below 3.5 s",
        "640x240           3   walk 2, run 1",
        "320x240           1   all run",
        "What headers alone give away: 75.0 % of labels, against 50.0 % by always saying 'walk': "
        "not clearly more",
        "  By one field alone: resolution 75.0 %, codec 25.0 %.",
        "Pictures across the split: 1 pair nearly the same, 0 alike",
        "    3.2   walk/0.mp4 (train, group cam0) | run/copy.mp4 (test)",
        "  ! 1 file cannot be read: the quarantine says why.",
    ],
)
def test_the_report_says(report, line):
    assert line in to_text(report).splitlines()


def test_pairs_of_one_side_are_told_from_those_across(report):
    found = replace(report, near_duplicates=replace(FOUND, copies=0, same_side=1))
    title = "Pictures across the split: 0 pairs nearly the same, 0 alike"
    assert f"{title}; 1 alike between groups of one side" in to_text(found).splitlines()


def test_lines_fit_a_terminal_and_have_no_blanks_at_their_end(report):
    for line in to_text(report).splitlines():
        assert len(line) <= WIDTH + 10
        assert line == line.rstrip()


def test_without_a_measure_and_without_warnings_it_says_so(make_video):
    videos = [make_video(f"{i}", label="a", group=f"{i}", duration_s=2.0) for i in range(40)]
    plain = Readiness(
        videos=40,
        unreadable=0,
        hours=1.0,
        groups=40,
        labels=balance(videos),
        durations=durations(videos),
        resolutions=[],
        codecs=[],
        frame_rates=[],
        header_only=None,
        near_duplicates=NearDuplicates(compared=40),
    )
    text = to_text(plain)
    assert "What headers alone give away: not measured, for want of two labels" in text
    assert text.endswith("Nothing to warn of.")
    assert "#" not in text
