"""What weights have learned from, those that they began as included: `learned_from.json` of a run.

    {"train": {"videos": [...], "groups": [...], "groups_elsewhere": {DATA: [...]}}, "val": ...}

Groups mean something in one dataset only: `groups` are those of the run's own, `groups_elsewhere`
those of other folders that runs before it have learned from; most have none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from videoproc import runlog
from videoproc.masking import masked
from videoproc.storage import Anywhere
from videoproc.types import Video

LearnedFrom = Mapping[str, Mapping[str, Any]]
"""By split."""

ELSEWHERE = "groups_elsewhere"
BEFORE = {"train": (), "val": ("train",), "test": ("train", "val")}
"""By split, those from which nothing may be learned that is measured on it."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The ids of videos, and the names of groups in one dataset."""

    videos: frozenset[str]
    groups: frozenset[str]

    def has(self, video_id: str, group: str | None) -> bool:
        """Whether a video of the dataset is one of them, or of one of the groups."""
        return video_id in self.videos or group in self.groups


def seen_by(run: runlog.Run, *, data: Anywhere, splits: Iterable[str]) -> Seen:
    """What of a dataset a run has learned from in these of its splits."""
    learned_from = run.read_json(runlog.LEARNED_FROM)
    return _seen(learned_from, splits, own=run.tags.get("data"), data=masked(str(data)))


def seen_before(
    learned_from: LearnedFrom, videos: Sequence[Video], *, data: Anywhere
) -> Mapping[str, int]:
    """How many videos of a dataset's val and test splits a model of it has learned from."""
    counts: dict[str, int] = {}
    here = masked(str(data))
    for split in ("val", "test"):
        seen = _seen(learned_from, BEFORE[split], own=here, data=here)
        count = sum(v.split == split and seen.has(v.video_id, v.group) for v in videos)
        if count:
            counts[split] = count
    return counts


def with_parents(own: LearnedFrom, parent: runlog.Run | None, *, data: Anywhere) -> LearnedFrom:
    """What a model of a dataset has learned from in all: `own`, and what the run has that it began
    as, with all that this one began as before."""
    if parent is None:
        return own
    theirs, here = parent.read_json(runlog.LEARNED_FROM), masked(str(data))
    return {
        split: _joined(held, theirs[split], of=parent.tags.get("data"), here=here)
        if split in theirs
        else held
        for split, held in own.items()
    }


def _joined(
    own: Mapping[str, Any], theirs: Mapping[str, Any], *, of: str | None, here: str
) -> dict[str, Any]:
    by_data = dict(theirs.get(ELSEWHERE, {}))
    if of is not None:
        by_data[of] = theirs["groups"]
    return {
        "videos": sorted({*own["videos"], *theirs["videos"]}),
        "groups": sorted({*own["groups"], *by_data.pop(here, ())}),
    } | ({ELSEWHERE: by_data} if by_data else {})


def _seen(learned_from: LearnedFrom, splits: Iterable[str], *, own: str | None, data: str) -> Seen:
    """own: the dataset that `groups` are of."""
    held = [learned_from[split] for split in splits]
    groups = [
        one["groups"] if own == data else one.get(ELSEWHERE, {}).get(data, ()) for one in held
    ]
    return Seen(
        videos=frozenset(video for one in held for video in one["videos"]),
        groups=frozenset(group for names in groups for group in names),
    )
