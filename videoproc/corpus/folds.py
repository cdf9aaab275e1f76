"""Which videos train, choose and judge in each fold of a cross-validation.

Folds depend on the manifest and their config alone: so every model is measured on the same ones.
Within a repeat each video is tested once. Videos are dealt as `splits` deals them: labels have
about the same shares in each fold, and by group no group stands on two sides of any.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from videoproc import schema
from videoproc.corpus.splits import count_labels, deal, is_usable, unit_of
from videoproc.types import UserError, Video

BY = ("group", "video")
SIDES = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class FoldConfig:
    """How videos are dealt into folds.

    Args:
        count: folds; each tests its part of the videos, and learns from the others.
        by: group (no group, such as a source or a camera, on two sides) or video (at random, with
            groups torn apart: the way of many papers, and an optimistic one).
        repeats: times that all is done over, each time with other folds.
        seed: decides the folds; which weights a model begins with is decided elsewhere.
        val_share: share of a fold's other videos that choose epoch and candidate; 0 leaves all to
            learn from: the last epoch answers.
    """

    count: int = 5
    by: str = "group"
    repeats: int = 1
    seed: int = 0
    val_share: float = 0.15

    def __post_init__(self) -> None:
        if self.count < 2:
            raise ValueError(f"folds.count is {self.count}: use 2 or more")
        if self.by not in BY:
            raise ValueError(f"folds.by is {self.by!r}: use {' or '.join(BY)}")
        if self.repeats < 1:
            raise ValueError(f"folds.repeats is {self.repeats}: use 1 or more")
        if self.seed < 0:
            raise ValueError(f"folds.seed is {self.seed}: use 0 or more")
        if not 0 <= self.val_share < 1:
            raise ValueError(f"folds.val_share is {self.val_share}: use a share in [0, 1)")

    @property
    def sides(self) -> tuple[str, ...]:
        """Those that have videos."""
        return SIDES if self.val_share else ("train", "test")


@dataclass(frozen=True, kw_only=True)
class Fold:
    """The ids of the videos on each side of one fold, sorted."""

    repeat: int
    number: int
    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]


def make_folds(videos: Sequence[Video], config: FoldConfig) -> list[Fold]:
    """The folds of the labelled, readable videos, repeat by repeat, whatever the videos' order.

    Errors: UserError where a class is in too few groups (or videos) to be on each side of each
    fold.
    """
    usable = sorted((v for v in videos if is_usable(v)), key=lambda video: video.video_id)
    if config.by == "video":
        usable = [replace(video, group=None) for video in usable]
    units = sorted({unit_of(video) for video in usable})
    labels = sorted({label for video in usable for label in video.labels})
    counts = count_labels(usable, units, labels)
    _check_enough(counts, labels, config)
    members: list[list[str]] = [[] for _ in units]
    place = {unit: number for number, unit in enumerate(units)}
    for video in usable:
        members[place[unit_of(video)]].append(video.video_id)
    folds = []
    for repeat in range(config.repeats):
        numbers = _deal(counts, np.full(config.count, 1 / config.count), (config.seed, repeat))
        for number in range(config.count):
            sides = np.where(numbers == number, SIDES.index("test"), SIDES.index("train"))
            if config.val_share:
                others = np.flatnonzero(numbers != number)
                shares = np.array([1 - config.val_share, config.val_share])
                sides[others] = _deal(counts[others], shares, (config.seed, repeat, number))
            _check_classes(counts, sides, labels, config, repeat=repeat, number=number)
            train, val, test = (
                tuple(sorted(i for unit in np.flatnonzero(sides == k) for i in members[unit]))
                for k in range(len(SIDES))
            )
            folds.append(Fold(repeat=repeat, number=number, train=train, val=val, test=test))
    return folds


def folds_key(folds: Sequence[Fold]) -> str:
    """An id of who is on which side: models are compared on the same folds only."""
    return schema.content_id([[f.repeat, f.number, f.train, f.val, f.test] for f in folds])


def torn_groups(videos: Sequence[Video], fold: Fold) -> list[str]:
    """The groups that are tested in a fold and learned from in it too."""
    tested = set(fold.test)
    on_side: dict[bool, set[str]] = {True: set(), False: set()}
    for video in videos:
        if video.group is not None and is_usable(video):
            on_side[video.video_id in tested].add(video.group)
    return sorted(on_side[True] & on_side[False])


def _deal(counts: np.ndarray, shares: np.ndarray, seed: tuple[int, ...]) -> np.ndarray:
    """The side of each unit, (units,)."""
    free, everything = np.full(len(counts), -1), np.full(len(counts), True)
    return deal(counts, free, everything, shares, seed=seed)


def _check_enough(counts: np.ndarray, labels: Sequence[str], config: FoldConfig) -> None:
    """Each class must be tested in each fold, and left for two sides more."""
    if len(labels) == 0:
        raise UserError("no video has a label: give labels (`pipelines.index`) to make folds")
    least = len(config.sides)
    needed = max(config.count, least)
    for label, found in zip(labels, (counts > 0).sum(axis=0), strict=True):
        if found < needed:
            fewer = f"use folds.count {found}, or " if found >= least else ""
            raise UserError(
                f"folds.count is {config.count}, and label {label!r} is in {found} {config.by}(s) "
                f"of the {needed} that it must be in to be on each side of each fold: {fewer}"
                f"add videos of it{' from other groups' if config.by == 'group' else ''}"
            )


def _check_classes(
    counts: np.ndarray,
    sides: np.ndarray,
    labels: Sequence[str],
    config: FoldConfig,
    *,
    repeat: int,
    number: int,
) -> None:
    for side in config.sides:
        k = SIDES.index(side)
        for i, label in enumerate(labels):
            if counts[sides == k, i].sum() == 0:
                raise UserError(
                    f"no folds found with every class on each side: {side} of fold {number} "
                    f"(repeat {repeat}) has no {label!r}, which is in "
                    f"{int((counts[:, i] > 0).sum())} {config.by}(s): use fewer folds (folds.count "
                    f"is {config.count}), another folds.seed or a larger folds.val_share "
                    f"({config.val_share:g})"
                )
