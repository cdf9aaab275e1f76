"""Is a corpus fit to learn from: balance, ranges, what headers give away, copies across the split.

It is a look before hours of training: nothing here stops a job or changes a manifest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from videoproc.corpus import giveaway, near_duplicates
from videoproc.corpus.giveaway import HeaderOnly
from videoproc.corpus.layouts import SPLITS
from videoproc.corpus.near_duplicates import NearDuplicates
from videoproc.roots import Roots
from videoproc.types import Video

UNLABELLED = "(none)"
BINS = 8
LONG_TAIL = 5.0  # longest by shortest; above it the bins of durations grow by a factor
UNEVEN = 10.0  # largest class by smallest
SHOWN_VALUES = 5
FEW = 10  # videos of a class on a side; below it one video moves its recall by more than 10 %


@dataclass(frozen=True, kw_only=True)
class LabelCount:
    """A label's readable videos. share: of all readable videos. splits: videos by split."""

    label: str
    videos: int
    hours: float
    share: float
    groups: int
    splits: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Durations:
    """In seconds. edges_s: (BINS + 1,) of the histogram; counts: (BINS,) videos."""

    min_s: float
    median_s: float
    max_s: float
    edges_s: list[float]
    counts: list[int]


@dataclass(frozen=True, kw_only=True)
class ValueCount:
    """A value of a header field. labels: videos by label; several labels count under each.
    groups: distinct ones, 0 where none are known."""

    value: str
    videos: int
    groups: int
    labels: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Readiness:
    """What there is to know of a corpus before training. Values of fields: the most common first.

    groups: distinct ones, 0 where none are known. header_only: None where it cannot be measured.
    """

    videos: int
    unreadable: int
    hours: float
    groups: int
    labels: list[LabelCount]
    durations: Durations
    resolutions: list[ValueCount]
    codecs: list[ValueCount]
    frame_rates: list[ValueCount]
    header_only: HeaderOnly | None
    near_duplicates: NearDuplicates


def check(
    videos: Sequence[Video],
    *,
    workers: int,
    roots: Roots | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Readiness:
    """Measure a manifest's videos; a few frames of each are decoded in `workers` children.

    At least one video must be readable. roots: where videos may lie. on_progress: called with the
    videos decoded and their number.
    """
    readable = [video for video in videos if video.error is None]
    alike = near_duplicates.find(readable, workers=workers, roots=roots, on_progress=on_progress)
    return Readiness(
        videos=len(readable),
        unreadable=len(videos) - len(readable),
        hours=_hours(readable),
        groups=_groups(readable),
        labels=balance(readable),
        durations=durations(readable),
        resolutions=ranges(readable, lambda video: f"{video.width}x{video.height}"),
        codecs=ranges(readable, lambda video: str(video.codec)),
        frame_rates=ranges(readable, lambda video: f"{video.fps or 0:.4g}"),
        header_only=giveaway.header_only(readable, workers=workers),
        near_duplicates=alike,
    )


def balance(videos: Sequence[Video]) -> list[LabelCount]:
    """Each label's share, in the order of names; what has none comes last, as UNLABELLED."""
    names = sorted({label for video in videos for label in video.labels})
    of_label = {name: [v for v in videos if name in v.labels] for name in names}
    if without := [video for video in videos if not video.labels]:
        of_label[UNLABELLED] = without
    return [
        LabelCount(
            label=name,
            videos=len(having),
            hours=_hours(having),
            share=len(having) / len(videos),
            groups=_groups(having),
            splits={split: sum(v.split == split for v in having) for split in SPLITS},
        )
        for name, having in of_label.items()
    ]


def durations(videos: Sequence[Video]) -> Durations:
    """The spread of durations; the histogram's bins are even, or grow where the tail is long."""
    seconds = np.array([video.duration_s or 0.0 for video in videos])
    low, high = float(seconds.min()), float(seconds.max())
    spaced = np.geomspace if low > 0 and high / low > LONG_TAIL else np.linspace
    edges = spaced(low, high, BINS + 1)
    # By index, not by np.histogram: where all are equal the edges are too.
    counts = np.bincount(
        np.clip(np.searchsorted(edges, seconds, side="right") - 1, 0, BINS - 1), minlength=BINS
    )
    return Durations(
        min_s=low,
        median_s=float(np.median(seconds)),
        max_s=high,
        edges_s=edges.tolist(),
        counts=counts.tolist(),
    )


def ranges(videos: Sequence[Video], value_of: Callable[[Video], str]) -> list[ValueCount]:
    """How many videos, and of which labels, have each value; the most common value first."""
    having: dict[str, list[Video]] = {}
    for video in videos:
        having.setdefault(value_of(video), []).append(video)
    return [
        ValueCount(
            value=value,
            videos=len(some),
            groups=_groups(some),
            labels=_counted([label for v in some for label in v.labels or (UNLABELLED,)]),
        )
        for value, some in sorted(having.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def warnings(found: Readiness) -> list[str]:
    """What should be mended, or known, before an accuracy on this corpus is believed."""
    return [
        *_unreadable(found),
        *_header_warnings(found.header_only),
        *_value_warnings(found),
        *_duplicate_warnings(found.near_duplicates),
        *_group_warnings(found),
        *_balance_warnings(found.labels),
    ]


def _unreadable(found: Readiness) -> list[str]:
    if not found.unreadable:
        return []
    return [f"{many(found.unreadable, 'file')} cannot be read: the quarantine says why."]


def _header_warnings(told: HeaderOnly | None) -> list[str]:
    if told is None or not told.gives_away:
        return []
    return [
        f"The header of a file gives its label away: without a look at the pictures "
        f"{percent(told.accuracy)} are told, where {percent(told.majority_share)} would be by "
        f"always saying {told.majority_label!r}. {told.best_field.capitalize()} alone tells "
        f"{percent(told.alone[told.best_field])}. Bring the classes from the same cameras and "
        "encoders, or state this baseline beside every accuracy."
    ]


def _value_warnings(found: Readiness) -> list[str]:
    """Values with one label only; the forest cannot learn them where they are of one group."""
    if len(found.labels) < 2:
        return []
    only = [
        f"{field} {value.value} ({value.videos} videos, all {next(iter(value.labels))!r})"
        for field, values in (
            ("resolution", found.resolutions),
            ("codec", found.codecs),
            ("frames a second", found.frame_rates),
        )
        for value in values
        if len(value.labels) == 1 and value.videos >= FEW
    ]
    if not only:
        return []
    more = f" and {len(only) - SHOWN_VALUES} more" if len(only) > SHOWN_VALUES else ""
    return [
        f"Some values come with one label only: {', '.join(only[:SHOWN_VALUES])}{more}. A model "
        "may learn them in place of what happens: choose or encode so that each has all labels."
    ]


def _duplicate_warnings(found: NearDuplicates) -> list[str]:
    said = []
    if found.copies:
        touched = ", ".join(f"{count} of {split}" for split, count in found.touched.items())
        said.append(
            "Nearly the same pictures stand on different sides of the split: "
            f"{many(found.copies, 'pair')} (videos: {touched}). Give both of a pair one group "
            "(--split.group), or remove one."
        )
    if found.alike:
        said.append(
            f"Pictures alike stand on different sides of the split: {many(found.alike, 'pair')}. "
            "Look at the nearest: one scene on both sides makes the test easier than new scenes "
            "would be."
        )
    if found.same_side:
        said.append(
            "Pictures alike stand in different groups of one side: "
            f"{many(found.same_side, 'pair')}. Look at the nearest: if they are of one scene, give "
            "them one group, or another split.seed may put it on both sides."
        )
    if found.failed:
        said.append(
            f"{many(len(found.failed), 'video')} could not be decoded for the comparison "
            f"({found.failed[0][0]}: {found.failed[0][1]}, ...)."
        )
    return said


def _group_warnings(found: Readiness) -> list[str]:
    if found.groups:
        return []
    return [
        "No groups are known. If several videos are of one camera, person or recording, say by "
        "--split.group what tells them apart; else they stand on several sides, and every number "
        "flatters."
    ]


def _balance_warnings(labels: Sequence[LabelCount]) -> list[str]:
    named = [label for label in labels if label.label != UNLABELLED]
    if len(named) < 2:
        return []
    said = []
    largest, smallest = (choose(named, key=lambda label: label.videos) for choose in (max, min))
    if largest.videos > UNEVEN * smallest.videos:
        said.append(
            f"{largest.label!r} has {largest.videos / smallest.videos:.0f} times the videos of "
            f"{smallest.label!r}: look at recall by class and at macro means, not at accuracy."
        )
    few = [
        (label.splits[split], split, label.label)
        for label in named
        for split in ("val", "test")
        if 0 < label.splits[split] < FEW
    ]
    if few:
        count, split, label = min(few)
        said.append(
            f"{label!r} has only {many(count, 'video')} in {split}: one more or less told right "
            f"moves its recall by {100 / count:.0f} %. {many(len(few), 'case')} of fewer than "
            f"{FEW}."
        )
    return said


def percent(share: float) -> str:
    """As 61.3 %."""
    return f"{100 * share:.1f} %"


def many(count: int, noun: str) -> str:
    """As 1 pair, 2 pairs, 3 classes."""
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"


def _groups(videos: Sequence[Video]) -> int:
    return len({video.group for video in videos} - {None})


def _hours(videos: Sequence[Video]) -> float:
    return sum(video.duration_s or 0.0 for video in videos) / 3600


def _counted(values: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(values).items()))
