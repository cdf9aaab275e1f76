"""What is left to do: the clips and vectors that a recipe asks for, less those that are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from videoproc.features import Feature
from videoproc.tables.quarantine import quarantine_id
from videoproc.tables.recipe import Recipe, WantedClip
from videoproc.types import Row, Video

STAGE = "decode"
WINDOW = 20_000
"""Videos whose rows exist at once: what the driver holds does not grow with the corpus."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """videos: those with clips to decode; `windows` makes their rows. num_clips: how many clips
    that are. measure: ids of clips that are in but lack a feature, of the videos `measured`. done:
    ids of clips that are in. held: videos that are left in quarantine, by the class of their
    error."""

    videos: Sequence[Video]
    num_clips: int
    measure: Sequence[str]
    measured: Sequence[Video]
    done: Sequence[str]
    held: Counter[str]
    recipe: Recipe
    clip_keys: Collection[str]
    all_views: bool

    @property
    def is_empty(self) -> bool:
        return not self.videos and not self.measure

    def windows(self) -> Iterator[list[Row]]:
        """The rows of the videos to decode, as the steps take them, a part at a time."""
        yield from self._windows(self.videos, lambda clip: clip.clip_id not in self.clip_keys)

    def windows_to_measure(self) -> Iterator[list[Row]]:
        """The same for the clips to measure, where stored frames are not what features take."""
        to_measure = set(self.measure)
        yield from self._windows(self.measured, lambda clip: clip.clip_id in to_measure)

    def _windows(
        self, videos: Sequence[Video], is_wanted: Callable[[WantedClip], bool]
    ) -> Iterator[list[Row]]:
        def row(video: Video) -> Row:
            clips = self.recipe.clips_of(video, all_views=self.all_views)
            return _row(video, list(filter(is_wanted, clips)))

        for start in range(0, len(videos), WINDOW):
            yield [row(video) for video in videos[start : start + WINDOW]]


def plan_work(
    *,
    videos: Iterable[Video],
    recipe: Recipe,
    features: Sequence[Feature],
    clip_keys: Collection[str],
    feature_keys: Collection[str],
    held: Mapping[str, str],
    all_views: bool = True,
) -> Work:
    """Compare what is wanted with the keys that the tables hold. Reads nothing.

    held: the class of error by quarantine id, of what is to be left alone.
    """
    to_decode: list[Video] = []
    num_clips = 0
    measure: list[str] = []
    measured: list[Video] = []
    done: list[str] = []
    left: Counter[str] = Counter()
    for video in videos:
        ids = [clip.clip_id for clip in recipe.clips_of(video, all_views=all_views)]
        stored = [clip_id for clip_id in ids if clip_id in clip_keys]
        done.extend(stored)
        lacking = [
            c for c in stored if any(f"{c}/{f.feature_id}" not in feature_keys for f in features)
        ]
        if lacking:
            measure.extend(lacking)
            measured.append(video)
        if len(stored) == len(ids):
            continue
        reason = held.get(quarantine_id(video.video_id, video.uri, STAGE, recipe.recipe_id))
        if reason is not None:
            left[reason] += 1
        else:
            to_decode.append(video)
            num_clips += len(ids) - len(stored)
    return Work(
        videos=to_decode,
        num_clips=num_clips,
        measure=measure,
        measured=measured,
        done=done,
        held=left,
        recipe=recipe,
        clip_keys=clip_keys,
        all_views=all_views,
    )


def _row(video: Video, wanted: Sequence[WantedClip]) -> Row:
    spans = {clip.clip_index: (clip.start_s, clip.end_s) for clip in wanted}
    return {
        "video_id": video.video_id,
        "uri": video.uri,
        "size_bytes": video.size_bytes,
        "spans": [
            {"clip_index": index, "start_s": start_s, "end_s": end_s}
            for index, (start_s, end_s) in spans.items()
        ],
        "wanted": [
            {"clip_index": clip.clip_index, "view": clip.view, "clip_id": clip.clip_id}
            for clip in wanted
        ],
    }
