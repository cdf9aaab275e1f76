"""A recipe: everything that decides the bytes of a clip, and so its id."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from videoproc import schema
from videoproc.augment import AUGMENT_VERSION, Augmentation
from videoproc.media import DECODE_VERSION, Sampling, Size
from videoproc.tables.frames import FrameFormat
from videoproc.types import Video


@dataclass(frozen=True, kw_only=True)
class WantedClip:
    """A clip that a recipe asks for: one span of a video in one view."""

    clip_id: str
    video_id: str
    clip_index: int
    view: int
    start_s: float
    end_s: float


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How clips are made: which frames, at which size, in which views, how stored."""

    sampling: Sampling = field(default_factory=Sampling)
    size: Size = field(default_factory=Size)
    augmentation: Augmentation = field(default_factory=Augmentation)
    frames: FrameFormat = field(default_factory=FrameFormat)

    @functools.cached_property
    def recipe_id(self) -> str:
        """The id of what view 0 is made by: other views do not change the clip itself."""
        return schema.content_id(
            self.sampling.to_dict(), asdict(self.size), self.frames.identity, DECODE_VERSION
        )

    def clip_id(self, *, video_id: str, clip_index: int, view: int) -> str:
        """An augmented view depends on its augmentation too; the number of views changes no id."""
        made_by = self._augmented_by if view else None
        return schema.content_id(video_id, self.recipe_id, clip_index, view, made_by)

    @functools.cached_property
    def _augmented_by(self) -> dict[str, Any]:
        return asdict(self.augmentation) | {"views": None, "version": AUGMENT_VERSION}

    def clips_of(self, video: Video, *, all_views: bool = True) -> Iterator[WantedClip]:
        """The clips that this recipe makes of one readable video."""
        assert video.duration_s is not None, video.uri
        views = self.augmentation.views if all_views else 1
        spans = self.sampling.clip_spans(duration_s=video.duration_s)
        for clip_index, (start_s, end_s) in enumerate(spans):
            for view in range(views):
                yield WantedClip(
                    clip_id=self.clip_id(video_id=video.video_id, clip_index=clip_index, view=view),
                    video_id=video.video_id,
                    clip_index=clip_index,
                    view=view,
                    start_s=start_s,
                    end_s=end_s,
                )

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Recipe:
        values = json.loads(text)
        return cls(
            sampling=Sampling(**values["sampling"]),
            size=Size(**values["size"]),
            augmentation=Augmentation(**values["augmentation"]),
            # Checkpoints of before there was a choice are of raw frames.
            frames=FrameFormat(**values.get("frames", {"encoding": "raw"})),
        )
