"""Which videos train, which choose the model, which judge it.

A group (a camera, a source video) is never on two sides, and labels have about the same shares
on each. Units - groups, or single videos where there are none - are dealt out one by one, the
largest first, and then moved and exchanged while that brings the counts nearer.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np

from videoproc.corpus.layouts import SPLITS, Entry
from videoproc.types import UserError, Video

SHOWN_GROUPS = 5
SWAP_CANDIDATES = 128
"""Units of each side that one round of exchanges looks at; all pairs of 10,000 are too many."""


@dataclass(frozen=True, kw_only=True)
class SplitConfig:
    """Shares of the videos, and what keeps them together.

    group: a column of the list, or a regular expression with one parenthesised group that is
    searched in the uri, such as "(cam[0-9]+)_"; None takes the groups that the layout knows, and
    lets each video stand alone where it knows none.
    """

    train: float = 0.7
    val: float = 0.15
    test: float = 0.15
    seed: int = 0
    group: str | None = None

    def __post_init__(self) -> None:
        for name in SPLITS:
            if not 0.0 <= (share := getattr(self, name)) <= 1.0:
                raise ValueError(f"split.{name} is {share}; it must be from 0 to 1")
        if not math.isclose(total := self.train + self.val + self.test, 1.0, abs_tol=1e-6):
            raise ValueError(f"split.train, val and test sum to {total:g}; make them sum to 1")
        if self.seed < 0:
            raise ValueError(f"split.seed is {self.seed}; it must be 0 or more")


def group_of(entry: Entry, pattern_or_column: str) -> str:
    """The group of a listed video, from the column of this name or the expression on its uri.

    Errors: UserError if there is no such column and the expression is none, or finds nothing.
    """
    if pattern_or_column in entry.columns:
        if group := entry.columns[pattern_or_column]:
            return group
        raise UserError(f"{entry.uri!r} has nothing under {pattern_or_column!r}; give its group")
    try:
        pattern = re.compile(pattern_or_column)
    except re.error as error:
        raise UserError(f"split.group {pattern_or_column!r} is no expression: {error}") from error
    if pattern.groups != 1:
        known = ", ".join(entry.columns) or "none"
        raise UserError(
            f"split.group {pattern_or_column!r} is no column of the list (columns: {known}) and "
            'no expression with one parenthesised group, such as "(cam[0-9]+)_"'
        )
    match = pattern.search(entry.uri)
    if match is None or not match[1]:
        raise UserError(f"split.group {pattern_or_column!r} finds no group in {entry.uri!r}")
    return match[1]


def assign(videos: Sequence[Video], config: SplitConfig) -> list[Video]:
    """The videos, each labelled and readable one with its split; the others with none.

    A video that has a split already keeps it, and its group joins it. The result depends on the
    videos and the config, not on the videos' order.
    Errors: UserError if a group's videos have different splits already, or if a split would lack
    a class.
    """
    usable = [video for video in videos if is_usable(video)]
    if not usable:
        return _assign_unlabelled(videos, config)
    chosen = _given_splits(usable)
    if any(unit_of(video) not in chosen for video in usable):
        chosen = _choose(usable, chosen, config)
    return [
        replace(video, split=chosen[unit_of(video)] if is_usable(video) else None)
        for video in videos
    ]


def _assign_unlabelled(videos: Sequence[Video], config: SplitConfig) -> list[Video]:
    """Where nobody has a label: what learns without them needs splits all the same.

    Too few videos to give each side one are left without, since nothing can be learned from them.
    """
    as_one_class = [replace(v, labels=("",)) for v in videos if v.error is None and not v.labels]
    if len({unit_of(video) for video in as_one_class}) < len(SPLITS):
        return [replace(video, split=None) for video in videos]
    split_of = {video.video_id: video.split for video in assign(as_one_class, config)}
    return [replace(video, split=split_of.get(video.video_id)) for video in videos]


def lacks_val(videos: Sequence[Video], config: SplitConfig) -> bool:
    """Whether a corpus gives every video that can be dealt a split, to some `train` and to none
    `val`, though `config` wants one: as UCF101 and most published splits do."""
    readable = [video for video in videos if video.error is None]
    given = {video.split for video in [v for v in readable if v.labels] or readable}
    return config.val > 0 and "train" in given and not given & {None, "val"}


def assign_val(videos: Sequence[Video], config: SplitConfig) -> list[Video]:
    """The videos of a given training side, dealt into train and val in the config's proportion."""
    both = config.train + config.val
    shares = replace(config, train=config.train / both, val=config.val / both, test=0.0)
    return assign(videos, shares)


def check_no_leak(videos: Sequence[Video]) -> None:
    """UserError if any group has videos in several splits; it names the groups, and how many
    videos each has on each side."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for video in videos:
        if video.group is not None and video.split is not None:
            counts[video.group][video.split] += 1
    torn = [group for group in sorted(counts) if len(counts[group]) > 1]
    if not torn:
        return
    named = [f"group {group!r}: {_sides(counts[group])}" for group in torn[:SHOWN_GROUPS]]
    if more := len(torn) - len(named):
        named.append(f"and {more} more")
    raise UserError(
        f"groups on several sides of the split: {'; '.join(named)}; "
        "give all videos of a group the same split, or none"
    )


def _sides(counts: Counter[str]) -> str:
    order = (*SPLITS, *sorted(set(counts) - set(SPLITS)))
    return ", ".join(f"{counts[split]} {split}" for split in order if counts[split])


def is_usable(video: Video) -> bool:
    return bool(video.labels) and video.error is None


def unit_of(video: Video) -> tuple[str, str]:
    """What is dealt as one. A group may be named like a video's id, so the kind stands first."""
    return ("group", video.group) if video.group is not None else ("video", video.video_id)


def _given_splits(videos: Sequence[Video]) -> dict[tuple[str, str], str]:
    check_no_leak(videos)
    given = {unit_of(video): video.split for video in videos if video.split is not None}
    if unknown := sorted(set(given.values()) - set(SPLITS)):
        raise UserError(f"unknown splits {', '.join(unknown)}; they are {', '.join(SPLITS)}")
    return given


def _choose(
    videos: Sequence[Video], given: Mapping[tuple[str, str], str], config: SplitConfig
) -> dict[tuple[str, str], str]:
    """The split of every unit: the given ones, and the others dealt around them."""
    wanted = [name for name in SPLITS if getattr(config, name) > 0.0]
    names = sorted({unit_of(video) for video in videos})
    labels = sorted({label for video in videos for label in video.labels})
    counts = count_labels(videos, names, labels)
    held = np.array([wanted.index(given[n]) if given.get(n) in wanted else -1 for n in names])
    movable = np.array([name not in given for name in names])
    shares = np.array([getattr(config, name) for name in wanted])
    sides = deal(counts, held, movable, shares, seed=config.seed)
    _check_classes(counts, sides, wanted, labels)
    return dict(given) | {names[i]: wanted[sides[i]] for i in np.flatnonzero(movable)}


def count_labels(
    videos: Sequence[Video], names: Sequence[tuple[str, str]], labels: Sequence[str]
) -> np.ndarray:
    """(units, labels): how many videos of each label each unit holds."""
    row = {name: i for i, name in enumerate(names)}
    column = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(names), len(labels)))
    for video in videos:
        for label in video.labels:
            counts[row[unit_of(video)], column[label]] += 1
    return counts


def deal(
    counts: np.ndarray,
    held: np.ndarray,
    movable: np.ndarray,
    shares: np.ndarray,
    *,
    seed: int | Sequence[int],
) -> np.ndarray:
    """The split of each unit, (units,): the best of several seeded tries.

    Units that are not movable stay where `held` says; -1 counts nowhere.
    """
    aim = _Aim(shares[:, None] * counts.sum(axis=0))
    rng = np.random.default_rng(seed)
    tries = int(np.clip(2000 // len(counts), 1, 32))  # small corpora are hard, and cheap to retry
    best, best_cost = held, np.inf
    for _ in range(tries):
        sides = _improve(aim, counts, _greedy(aim, counts, held, movable, rng), movable, rng)
        cost = sum(float(aim.cost(k, counts[sides == k].sum(axis=0))) for k in range(len(shares)))
        if cost < best_cost - 1e-9:
            best, best_cost = sides, cost
    return best


class _Aim:
    """How far label counts are from the wanted ones. target: (splits, labels)."""

    def __init__(self, target: np.ndarray) -> None:
        self.target = target
        # In shares of each label's videos, so that a rare class weighs as much as a common one.
        self.scale = target.sum(axis=0)
        # Dearer than any deviation: no split may lack a class for the sake of even counts.
        self.missing = 4.0 * target.size

    def cost(self, split: int | np.ndarray, counts: np.ndarray) -> np.ndarray:
        """Of one split's counts, (..., labels) -> (...)."""
        off = (counts - self.target[split]) / self.scale
        return (off * off + self.missing * (counts < 0.5)).sum(axis=-1)


def _greedy(
    aim: _Aim, counts: np.ndarray, held: np.ndarray, movable: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Deal the movable units, the largest first, each to where it lessens the deviation most."""
    sides = held.copy()
    now = np.stack([counts[held == k].sum(axis=0) for k in range(len(aim.target))])
    sizes = counts.sum(axis=1) * rng.uniform(0.7, 1.3, len(counts))  # each try another order
    for i in np.argsort(-sizes, kind="stable"):
        if movable[i]:
            gain = counts[i] * (2.0 * (now - aim.target) + counts[i]) / aim.scale**2
            sides[i] = int(np.argmin(gain.sum(axis=1)))
            now[sides[i]] += counts[i]
    return sides


def _improve(
    aim: _Aim, counts: np.ndarray, sides: np.ndarray, movable: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Move single units and exchange pairs while that lessens the cost."""
    sides = sides.copy()
    improved = True
    while improved:
        improved = False
        for a, b in permutations(range(len(aim.target)), 2):
            for candidates in (0, SWAP_CANDIDATES):
                mine, theirs = (np.flatnonzero(movable & (sides == k)) for k in (a, b))
                if candidates:
                    mine, theirs = (rng.permutation(side)[:candidates] for side in (mine, theirs))
                else:
                    theirs = np.array([-1])  # a move: all of them, each in exchange for nothing
                improved |= _exchange(aim, counts, sides, (a, b), (mine, theirs))
    return sides


def _exchange(
    aim: _Aim,
    counts: np.ndarray,
    sides: np.ndarray,
    splits: tuple[int, int],
    candidates: tuple[np.ndarray, np.ndarray],
) -> bool:
    """Make the best exchange of a unit of the one side for one of the other, if it is a gain."""
    (a, b), (mine, theirs) = splits, candidates
    if len(mine) == 0 or len(theirs) == 0:
        return False
    received = np.where(theirs[:, None] < 0, 0.0, counts[theirs])
    shift = received[None, :, :] - counts[mine][:, None, :]
    now_a, now_b = (counts[sides == k].sum(axis=0) for k in (a, b))
    after = aim.cost(a, now_a + shift) + aim.cost(b, now_b - shift)
    i, j = np.unravel_index(np.argmin(after), after.shape)
    if after[i, j] > aim.cost(a, now_a) + aim.cost(b, now_b) - 1e-9:
        return False
    sides[mine[i]] = b
    if theirs[j] >= 0:
        sides[theirs[j]] = a
    return True


def _check_classes(
    counts: np.ndarray, sides: np.ndarray, wanted: Sequence[str], labels: Sequence[str]
) -> None:
    lacking = [
        f"{split} has no {label!r} ({int((counts[:, i] > 0).sum())} units hold it)"
        for k, split in enumerate(wanted)
        for i, label in enumerate(labels)
        if counts[sides == k, i].sum() == 0
    ]
    if lacking:
        raise UserError(
            f"no split found with every class on each side: {'; '.join(lacking[:5])}; "
            "add videos or groups of the class, set a side's share to 0, or try another split.seed"
        )
