"""What is left to do: the clips and vectors that a recipe asks for, less those that are in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from videoproc.features import Feature
from videoproc.tables.quarantine import is_quarantined
from videoproc.tables.recipe import Recipe, WantedClip
from videoproc.types import Row, Video


@dataclass(frozen=True, kw_only=True)
class Work:
    """`decode`: a row for each video to be decoded, as the steps take it. `measure`: clips that
    are in but lack a feature. `done`: clips that are in. `quarantined`: videos left alone."""

    decode: list[Row]
    measure: list[WantedClip]
    done: list[WantedClip]
    quarantined: int


def plan_work(
    *,
    videos: Sequence[Video],
    recipe: Recipe,
    features: Sequence[Feature],
    clip_keys: set[str],
    feature_keys: set[str],
    quarantine_keys: set[str],
    all_views: bool = True,
) -> Work:
    """Compare what is wanted with the keys that the tables hold. Reads nothing."""
    decode: list[Row] = []
    measure: list[WantedClip] = []
    done: list[WantedClip] = []
    quarantined = 0
    for video in videos:
        wanted = list(recipe.clips_of(video, all_views=all_views))
        missing = [clip for clip in wanted if clip.clip_id not in clip_keys]
        stored = [clip for clip in wanted if clip.clip_id in clip_keys]
        done.extend(stored)
        measure.extend(clip for clip in stored if _lacks_one(clip, features, feature_keys))
        if not missing:
            continue
        if is_quarantined(
            known=quarantine_keys,
            video_id=video.video_id,
            uri=video.uri,
            stage="decode",
            recipe_id=recipe.recipe_id,
        ):
            quarantined += 1
        else:
            decode.append(_decode_row(video, missing))
    return Work(decode=decode, measure=measure, done=done, quarantined=quarantined)


def _lacks_one(clip: WantedClip, features: Sequence[Feature], feature_keys: set[str]) -> bool:
    return any(f"{clip.clip_id}/{feature.feature_id}" not in feature_keys for feature in features)


def _decode_row(video: Video, missing: Sequence[WantedClip]) -> Row:
    spans = {clip.clip_index: (clip.start_s, clip.end_s) for clip in missing}
    return {
        "video_id": video.video_id,
        "uri": video.uri,
        "spans": [
            {"clip_index": index, "start_s": start_s, "end_s": end_s}
            for index, (start_s, end_s) in spans.items()
        ],
        "wanted": [
            {"clip_index": clip.clip_index, "view": clip.view, "clip_id": clip.clip_id}
            for clip in missing
        ],
    }
