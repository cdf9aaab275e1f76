"""The readiness of a corpus as text for a terminal or a log."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

from videoproc.corpus.giveaway import HeaderOnly
from videoproc.corpus.layouts import SPLITS
from videoproc.corpus.near_duplicates import HASH_BITS, Found, NearDuplicates
from videoproc.corpus.readiness import (
    Durations,
    LabelCount,
    Readiness,
    ValueCount,
    many,
    percent,
    warnings,
)

WIDTH = 100
BAR = 40  # characters of the longest bar
SHOWN_LABELS = 30
SHOWN_VALUES = 10
SHOWN_PAIRS = 10
SHOWN_LABELS_A_VALUE = 4
FEW_GROUPS = 10


def to_text(found: Readiness) -> str:
    """The whole report, in paragraphs; what should be mended stands last."""
    groups = many(found.groups, "group") if found.groups else "no groups known"
    unreadable = f", {many(found.unreadable, 'file')} unreadable" if found.unreadable else ""
    videos = many(found.videos, "video")
    parts = [
        [f"Readiness: {videos}, {found.hours:.2f} hours, {groups}{unreadable}"],
        _labels(found.labels),
        _durations(found.durations),
        _values("Resolution", found.resolutions),
        _values("Codec", found.codecs),
        _values("Frames a second", found.frame_rates),
        _header_only(found.header_only, has_groups=found.groups > 0),
        _near_duplicates(found.near_duplicates),
        _warnings(warnings(found)),
    ]
    return "\n\n".join("\n".join(part) for part in parts)


def _labels(labels: Sequence[LabelCount]) -> list[str]:
    left = _widest("Label", (label.label for label in labels[:SHOWN_LABELS]))
    titles = ("videos", "share", "hours", "groups", *SPLITS)
    lines = [f"{'Label':<{left}}" + "".join(f"{title:>9}" for title in titles)]
    for label in labels[:SHOWN_LABELS]:
        sides = "".join(f"{label.splits[split]:>9}" for split in SPLITS)
        lines.append(
            f"{label.label:<{left}}{label.videos:>9}{percent(label.share):>9}{label.hours:>9.2f}"
            f"{label.groups or '-':>9}{sides}"
        )
    return [*lines, *_rest(labels, SHOWN_LABELS)]


def _durations(found: Durations) -> list[str]:
    lines = [
        f"Durations: {_time(found.min_s)} to {_time(found.max_s)}, half of them below "
        f"{_time(found.median_s)}"
    ]
    if found.min_s == found.max_s:
        return lines
    most = max(found.counts)
    for i, count in enumerate(found.counts):
        low, high = (_time(edge) for edge in found.edges_s[i : i + 2])
        bar = "#" * (-(-count * BAR // most))
        lines.append(f"{low:>10} to {high:>8} {count:>7} {bar}".rstrip())
    return lines


def _values(title: str, values: Sequence[ValueCount]) -> list[str]:
    left = _widest(title, (value.value for value in values[:SHOWN_VALUES]))
    lines = [f"{title:<{left}}   videos   of which"]
    lines += [
        f"{value.value:<{left}}{value.videos:>9}   {_of_which(value)}"
        for value in values[:SHOWN_VALUES]
    ]
    return [*lines, *_rest(values, SHOWN_VALUES)]


def _of_which(value: ValueCount) -> str:
    ranked = sorted(value.labels.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) == 1:
        return f"all {ranked[0][0]}" + (", of one group" if value.groups == 1 else "")
    named = ", ".join(f"{label} {count}" for label, count in ranked[:SHOWN_LABELS_A_VALUE])
    more = len(ranked) - SHOWN_LABELS_A_VALUE
    return f"{named} and {more} more" if more > 0 else named


def _header_only(found: HeaderOnly | None, *, has_groups: bool) -> list[str]:
    title = "What headers alone give away"
    if found is None:
        return [
            f"{title}: not measured, for want of two labels of two groups each "
            "(videos of several labels do not count)"
        ]
    kept = (
        f"{found.groups} groups kept together"
        if has_groups
        else "no groups known, so that clips of one source help it"
    )
    rough = " With so few groups both are rough." if found.groups < FEW_GROUPS else ""
    verdict = "clearly more" if found.gives_away else "not clearly more"
    alone = ", ".join(f"{name} {percent(accuracy)}" for name, accuracy in found.alone.items())
    return [
        f"{title}: {percent(found.accuracy)} of labels, against {percent(found.majority_share)} by "
        f"always saying {found.majority_label!r}: {verdict}",
        *_wrapped(
            f"A random forest on all header fields, {found.folds} folds, {kept}. Resampled by "
            f"group, 95 % of accuracies are within {_interval(found.interval)}, and of leads over "
            f"the most common label within {_interval(found.lead_interval, signed=True)}.{rough}"
        ),
        *_wrapped(f"By one field alone: {alone}."),
    ]


def _near_duplicates(found: NearDuplicates) -> list[str]:
    between = f"; {found.same_side} alike between groups of one side" if found.same_side else ""
    lines = [
        f"Pictures across the split: {many(found.copies, 'pair')} nearly the same, "
        f"{found.alike} alike{between}",
        *_wrapped(
            f"{found.compared} videos compared by a perceptual hash of {HASH_BITS} bits, the mean "
            f"over 5 frames: up to {found.copy_bits:g} bits differ is nearly the same, up to "
            f"{found.alike_bits:g} alike; different scenes differ in about {HASH_BITS // 2}."
        ),
    ]
    if found.flat:
        lines.append(f"  {found.flat} videos of plain frames were left out.")
    if found.pairs:
        names = _short([video.uri for pair in found.pairs for video in pair.videos])
        lines.append(f"  {'bits':>5}   the nearest pairs")
        for pair in found.pairs[:SHOWN_PAIRS]:
            one, other = (_name(video, names) for video in pair.videos)
            lines.append(f"  {pair.bits:>5.1f}   {one} | {other}")
    total = found.copies + found.alike + found.same_side
    if total > SHOWN_PAIRS:
        lines.append(f"          and {total - SHOWN_PAIRS} more")
    return lines


def _name(video: Found, names: dict[str, str]) -> str:
    group = "" if video.group is None else f", group {video.group}"
    return f"{names[video.uri]} ({video.split}{group})"


def _warnings(said: Sequence[str]) -> list[str]:
    if not said:
        return ["Nothing to warn of."]
    lines = [f"{many(len(said), 'thing')} to know:"]
    for text in said:
        lines += textwrap.wrap(text, WIDTH, initial_indent="  ! ", subsequent_indent="    ")
    return lines


def _short(uris: Sequence[str]) -> dict[str, str]:
    """The names below the folder that all share."""
    folders = [uri.split("/")[:-1] for uri in uris]
    shared = 0
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return {uri: "/".join(uri.split("/")[shared:]) for uri in uris}


def _rest(items: Sequence[object], shown: int) -> list[str]:
    return [f"and {len(items) - shown} more"] if len(items) > shown else []


def _widest(title: str, names: Iterable[str]) -> int:
    return max([len(title), *map(len, names)])


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _interval(interval: tuple[float, float], *, signed: bool = False) -> str:
    low, high = (f"{100 * edge:+.1f}" if signed else f"{100 * edge:.1f}" for edge in interval)
    return f"{low} to {high}{' points' if signed else ' %'}"


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
