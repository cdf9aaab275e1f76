"""Samples: the clips of a split, joined with what the manifest knows of their videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from videoproc import schema
from videoproc.masking import masked_uri
from videoproc.tables import Dataset, Recipe
from videoproc.tables.clip_reader import ClipReader, Place, locate_clips
from videoproc.types import Row, UserError, Video


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Where a clip's frames lie, and its row without them (clip and manifest columns)."""

    place: Place
    row: Row


def find_samples(
    dataset: Dataset, *, recipe: Recipe, videos: Sequence[Video], all_views: bool
) -> list[Sample]:
    """The stored clips that `recipe` makes of `videos`, ordered by clip id.

    The order is that of ids, never that of files: it does not depend on how clips came in.
    Clips that are not in the table (quarantined videos) are left out.
    """
    by_clip = {
        clip.clip_id: (clip, video)
        for video in videos
        if video.error is None
        for clip in recipe.clips_of(video, all_views=all_views)
    }
    places = locate_clips(dataset.clips, by_clip)
    return [
        Sample(place=places[clip_id], row=_row(*by_clip[clip_id])) for clip_id in sorted(places)
    ]


def split_samples(
    dataset: Dataset,
    split: str,
    *,
    recipe: Recipe,
    videos: Sequence[Video],
    is_usable: Callable[[Row], bool],
) -> list[Sample]:
    """The clips of a split that can be learned from, of `train` in all views. Errors: UserError
    where there is none."""
    samples = find_samples(
        dataset,
        recipe=recipe,
        videos=[video for video in videos if video.split == split],
        all_views=split == "train",
    )
    usable = [sample for sample in samples if is_usable(sample.row)]
    if not usable:
        raise UserError(
            f"dataset {dataset.folder} has no clip to learn from in split {split!r}: give its "
            "videos labels and splits (`pipelines.index`) and clips (`pipelines.extract`)"
        )
    return usable


def read_sample(sample: Sample, reader: ClipReader) -> Row:
    """The sample's row with its frames."""
    return sample.row | reader(sample.place)


def videos_and_groups(samples: Sequence[Sample]) -> dict[str, list[str]]:
    """The ids of the samples' videos, and the names of their groups."""
    groups = {sample.row["group"] for sample in samples}
    return {
        "videos": sorted({sample.row["video_id"] for sample in samples}),
        "groups": sorted(group for group in groups if group is not None),
    }


def used_clips(dataset: Dataset, samples: Sequence[Sample], *, context: str) -> dict[str, Any]:
    """What a run says of the clips that it used: table, version, and a digest of clips and labels.

    context: training, validation or test.
    """
    labels = Counter(str(sample.row["label"]) for sample in samples)
    return {
        "name": f"{dataset.folder.name} {context}",
        "digest": schema.content_id([[s.row["clip_id"], s.row["labels"]] for s in samples]),
        "source": str(dataset.clips.folder),
        "version": dataset.clips.version,
        "context": context,
        "profile": {
            "clips": len(samples),
            "videos": len({sample.row["video_id"] for sample in samples}),
            "labels": dict(labels.most_common()),
        },
    }


def _shown(video: Video) -> str:
    """The uri as reports and tables of mistakes have it: without secrets, and of no other video."""
    shown = masked_uri(video.uri)
    return shown if shown == video.uri else f"{shown} ({video.video_id[:8]})"


def _row(clip: object, video: Video) -> Row:
    return vars(clip) | {
        "uri": _shown(video),
        "label": video.label,
        "labels": list(video.labels),
        "group": video.group,
    }
