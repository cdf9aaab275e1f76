"""Readiness: what there is of each label, the ranges of headers, and what to warn of."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from videoproc.corpus import readiness
from videoproc.corpus.giveaway import HeaderOnly
from videoproc.corpus.near_duplicates import Found, NearDuplicates, Pair
from videoproc.corpus.readiness import BINS, Readiness, balance, durations, ranges, warnings

SPLITS = ("train", "val", "test")

HEADERS = HeaderOnly(
    videos=60,
    groups=12,
    folds=5,
    accuracy=0.9,
    interval=(0.8, 0.95),
    majority_label="a",
    majority_share=0.5,
    lead_interval=(0.2, 0.5),
    alone={"bit rate": 0.8, "codec": 0.5},
)


@pytest.fixture
def videos(make_video):
    """60 videos of `a` and `b` by turns, five a camera, 20 on each side."""
    return [
        make_video(
            f"/corpus/{i}.mp4",
            label="ab"[i % 2],
            group=f"cam{i // 5}",
            split=SPLITS[i // 20],
            codec="h264",
            width=640,
            height=480,
            fps=25.0,
            duration_s=60.0 + i,
        )
        for i in range(60)
    ]


@pytest.fixture
def describe():
    """describe(videos, header_only=..., near_duplicates=...): without opening a file."""

    def make(videos, **known) -> Readiness:
        known = {"header_only": None, "near_duplicates": NearDuplicates(compared=0)} | known
        return Readiness(
            videos=len(videos),
            unreadable=0,
            hours=1.5,
            groups=len({v.group for v in videos} - {None}),
            labels=balance(videos),
            durations=durations(videos),
            resolutions=ranges(videos, lambda v: f"{v.width}x{v.height}"),
            codecs=ranges(videos, lambda v: v.codec),
            frame_rates=[],
            **known,
        )

    return make


def test_each_label_has_its_videos_hours_share_groups_and_sides(videos):
    a, b = balance(videos)
    assert (a.label, a.videos, a.share, a.groups) == ("a", 30, 0.5, 12)
    assert a.hours == pytest.approx(sum(60 + i for i in range(0, 60, 2)) / 3600)
    assert a.splits == b.splits == {"train": 10, "val": 10, "test": 10}


def test_a_video_of_several_labels_counts_under_each_and_one_of_none_apart(make_video):
    videos = [make_video("0", labels=("a", "b")), make_video("1", label="a"), make_video("2")]
    assert [(label.label, label.videos) for label in balance(videos)] == [
        ("a", 2),
        ("b", 1),
        ("(none)", 1),
    ]


def test_durations_are_counted_once_each(videos):
    found = durations(videos)
    assert (found.min_s, found.median_s, found.max_s) == (60.0, 89.5, 119.0)
    assert (len(found.counts), sum(found.counts), len(found.edges_s)) == (BINS, 60, BINS + 1)
    assert max(found.counts) <= 8


def test_a_long_tail_has_bins_that_grow(make_video):
    found = durations([make_video(f"{s}", duration_s=s) for s in (2.0, 2.5, 3.0, 3.5, 7200.0)])
    assert found.edges_s[1] == pytest.approx(2 * 3600 ** (1 / BINS))
    assert (found.counts[0], found.counts[-1]) == (4, 1)


def test_durations_that_are_all_equal_are_one_count(make_video):
    found = durations([make_video(f"{i}", duration_s=2.0) for i in range(3)])
    assert sorted(found.counts) == [0] * (BINS - 1) + [3]


def test_values_come_with_their_labels_the_most_common_first(videos):
    wide = [replace(v, width=1280) for v in videos[::6]]
    first, second = ranges([*videos, *wide], lambda v: str(v.width))
    assert (first.value, first.videos, first.labels) == ("640", 60, {"a": 30, "b": 30})
    assert (second.value, second.videos, second.labels, second.groups) == (
        "1280",
        10,
        {"a": 10},
        10,
    )


def test_a_sound_corpus_has_no_warning(videos, describe):
    assert warnings(describe(videos)) == []


@pytest.mark.parametrize(
    ("header_only", "count"), [(HEADERS, 1), (replace(HEADERS, lead_interval=(-0.01, 0.3)), 0)]
)
def test_headers_are_warned_of_where_their_lead_is_clear(videos, describe, header_only, count):
    said = warnings(describe(videos, header_only=header_only))
    assert len(said) == count
    if said:
        assert (
            "90.0 % are told, where 50.0 % would be by always saying 'a'. Bit rate alone" in said[0]
        )


def test_a_resolution_of_one_label_only_is_named(videos, describe):
    odd = [replace(v, width=320, height=240) if v.label == "b" else v for v in videos[:30]]
    (said,) = warnings(describe([*odd, *videos[30:]]))
    assert "one label only: resolution 320x240 (15 videos, all 'b'). A model" in said


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            {"copies": 2, "touched": {"train": 1, "val": 0, "test": 2}},
            r"sides of the split: 2 pairs \(videos: 1 of train, 0 of val, 2 of test\)\. Give",
        ),
        ({"alike": 1}, r"alike stand on different sides of the split: 1 pair\. Look"),
        ({"same_side": 3}, r"alike stand in different groups of one side: 3 pairs\. Look"),
        ({"failed": [("/corpus/7.mp4", "Timeout: not done")]}, r"/corpus/7.mp4: Timeout: not done"),
    ],
)
def test_pictures_that_are_there_twice_are_warned_of(videos, describe, found, message):
    found = NearDuplicates(compared=60, **found)
    (said,) = warnings(describe(videos, near_duplicates=found))
    assert re.search(message, said)


def test_a_corpus_without_groups_is_asked_for_them(videos, describe):
    (said,) = warnings(describe([replace(v, group=None) for v in videos]))
    assert said.startswith("No groups are known.")
    assert "--split.group" in said


def test_a_rare_class_is_named_with_what_one_video_does_to_its_recall(videos, describe):
    rare = [replace(videos[0], labels=("c",), split=split) for split in ("val", "test")]
    uneven, few = warnings(describe([*videos, *rare]))
    assert uneven.startswith("'a' has 15 times the videos of 'c': look at recall by class")
    assert few.startswith("'c' has only 1 video in test: one more or less told right")
    assert few.endswith("recall by 100 %. 2 cases of fewer than 10.")


def test_a_corpus_is_checked_from_its_files(small_corpus, make_video):
    files = sorted((small_corpus / "videos").rglob("cam0?_0*.mp4"))
    videos = [
        make_video(
            str(file),
            label=file.parent.name,
            group=file.name[:5],
            split=("train", "test")[file.name[:5] == "cam01"],
            width=64,
            height=48,
            fps=12.0,
            duration_s=1.0,
            codec="h264",
        )
        for file in files
    ]
    broken = make_video("/nowhere.mp4", label="up", error="cut short")
    calls = []
    found = readiness.check(
        [*videos, broken], workers=2, on_progress=lambda *done: calls.append(done)
    )
    assert (found.videos, found.unreadable, found.groups) == (12, 1, 2)
    assert found.near_duplicates.compared == 12
    assert calls[-1] == (12, 12)
    assert "1 file cannot be read: the quarantine says why." in warnings(found)


def test_the_pair_of_one_side_is_not_across():
    videos = tuple(Found(uri=name, split="train", group=name) for name in "ab")
    assert not Pair(videos=videos, bits=3.0).is_across
