"""What a feature is: a name, a version, and a function from a clip to a vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from videoproc import schema


@dataclass(frozen=True, kw_only=True)
class Feature:
    """`compute` takes a clip and gives one finite float32 for each of `columns`.

    A clip is uint8 frames (T, H, W, 3), T >= 1, and their presentation times (T,) in seconds. Times
    may have any step, repeat and descend; they are there to turn pixels a frame into shares of the
    frame a second (`over_time.steps_of`), and nothing of them goes into a vector by itself.
    Raise `version` when the numbers change: the vectors are then made anew, the clips are not.
    """

    name: str
    version: int
    columns: tuple[str, ...]
    compute: Callable[[np.ndarray, np.ndarray], np.ndarray]

    @property
    def length(self) -> int:
        return len(self.columns)

    @property
    def feature_id(self) -> str:
        return schema.content_id(self.name, self.version)
