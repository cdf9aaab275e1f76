"""What a feature is: a name, a version, and a function from a clip to a vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from videoproc import schema


@dataclass(frozen=True, kw_only=True)
class Feature:
    """`compute` takes uint8 frames (T, H, W, 3), T >= 1, and gives `length` finite floats.

    Raise `version` when the numbers change: the vectors are then made anew, the clips are not.
    """

    name: str
    version: int
    length: int
    compute: Callable[[np.ndarray], np.ndarray]

    @property
    def feature_id(self) -> str:
        return schema.content_id(self.name, self.version)
