"""What the header of a file alone gives away of its label.

Where the classes were recorded or encoded by different means, a model can be right without a look
at what happens. So a random forest is asked to tell the label from header fields, and its accuracy
is what a model must beat.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold

from videoproc.types import Video

FOLDS = 5
TREES = 100
TREES_ALONE = 25  # of one field there is less to learn, and there are several
MIN_SAMPLES_LEAF = 2
RESAMPLINGS = 2000
SEED = 0


@dataclass(frozen=True, kw_only=True)
class HeaderOnly:
    """How well a forest tells labels from headers, cross-validated with groups kept together.

    interval: of the accuracy; lead_interval: of the accuracy over the share of the most common
    label; both the central 95 % of resamplings by group. alone: the accuracy of each field by
    itself, the best first.
    """

    videos: int
    groups: int
    folds: int
    accuracy: float
    interval: tuple[float, float]
    majority_label: str
    majority_share: float
    lead_interval: tuple[float, float]
    alone: dict[str, float]

    @property
    def gives_away(self) -> bool:
        """Whether the headers clearly tell more than the most common label would."""
        return self.lead_interval[0] > 0

    @property
    def best_field(self) -> str:
        return next(iter(self.alone))


def header_only(videos: Sequence[Video], *, workers: int = 1) -> HeaderOnly | None:
    """The measure over the readable videos of one label each.

    A video without a group is a group of its own. workers: cores that grow trees. None where fewer
    than two labels have two groups or more: then nothing can be held out and told.
    """
    videos = sorted(
        (video for video in videos if video.error is None and video.label is not None),
        key=lambda video: video.video_id,
    )
    _, groups = np.unique([v.group or f"video {v.video_id}" for v in videos], return_inverse=True)
    names, labels = np.unique([str(v.label) for v in videos], return_inverse=True)
    groups_of = [len(set(groups[labels == index])) for index in range(len(names))]
    if sum(count >= 2 for count in groups_of) < 2:
        return None
    folds = min(FOLDS, sorted(groups_of)[-2])
    parts = _parts(labels, groups, folds=folds)
    fields = _fields(videos)
    told = partial(_told, labels=labels, parts=parts, workers=workers)
    hits = told(np.concatenate(list(fields.values()), axis=1), trees=TREES) == labels
    majority = int(np.bincount(labels).argmax())
    interval, lead_interval = _intervals(hits, labels == majority, groups)
    alone = {name: told(columns, trees=TREES_ALONE) == labels for name, columns in fields.items()}
    ranked = sorted(alone, key=lambda name: -alone[name].mean())
    return HeaderOnly(
        videos=len(videos),
        groups=int(groups.max()) + 1,
        folds=folds,
        accuracy=float(hits.mean()),
        interval=interval,
        majority_label=str(names[majority]),
        majority_share=float((labels == majority).mean()),
        lead_interval=lead_interval,
        alone={name: float(alone[name].mean()) for name in ranked},
    )


def _parts(
    labels: np.ndarray, groups: np.ndarray, *, folds: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Indices to learn from and to tell, for each fold."""
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=SEED)
    with warnings.catch_warnings():
        # A label of fewer videos than folds is absent from some, and is told wrong at worst.
        warnings.filterwarnings("ignore", message="The least populated class")
        return list(splitter.split(labels, labels, groups))


def _fields(videos: Sequence[Video]) -> dict[str, np.ndarray]:
    """What a header says, by name: (videos, columns) each."""
    codecs = sorted({video.codec or "" for video in videos})
    columns = {
        "resolution": [(v.width, v.height) for v in videos],
        "frame rate": [(v.fps,) for v in videos],
        "duration": [(v.duration_s,) for v in videos],
        "codec": [(codecs.index(v.codec or ""),) for v in videos],
        "file size": [(v.size_bytes,) for v in videos],
        "bit rate": [(v.size_bytes * 8 / (v.duration_s or math.inf),) for v in videos],
    }
    return {name: np.array(values, np.float64) for name, values in columns.items()}


def _told(
    columns: np.ndarray,
    *,
    labels: np.ndarray,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
    trees: int,
    workers: int,
) -> np.ndarray:
    """The label that is told of each video by a forest that has not seen its group."""
    told = np.empty_like(labels)
    for train, test in parts:
        forest = RandomForestClassifier(
            trees, min_samples_leaf=MIN_SAMPLES_LEAF, random_state=SEED, n_jobs=workers
        )
        told[test] = forest.fit(columns[train], labels[train]).predict(columns[test])
    return told


def _intervals(
    hits: np.ndarray, is_majority: np.ndarray, groups: np.ndarray
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Of the accuracy and of its lead over the majority share, resampled by group (Efron 1979)."""
    num_groups = int(groups.max()) + 1
    rng = np.random.default_rng(SEED)
    drawn = rng.multinomial(num_groups, np.full(num_groups, 1 / num_groups), RESAMPLINGS)
    totals, right, common = (
        drawn @ np.bincount(groups, weights=values, minlength=num_groups)
        for values in (np.ones(len(hits)), hits, is_majority)
    )
    return _central(right / totals), _central((right - common) / totals)


def _central(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
