"""Labels as class indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videoproc import schema
from videoproc.tasks.classification.classes import target_b
from videoproc.tasks.task import Spec
from videoproc.types import Row, UserError


def is_usable(row: Row) -> bool:
    return row["label"] is not None


def make_spec(rows: Sequence[Row]) -> Spec:
    """The classes in alphabetical order: {"classes": [...]}."""
    classes = sorted({row["label"] for row in rows})
    if len(classes) < 2:
        raise UserError(
            f"classification needs two classes or more in the training split and finds "
            f"{classes}: check the corpus's labels and the splits of its manifest"
        )
    return {"classes": classes}


def num_outputs(spec: Spec) -> int:
    return len(spec["classes"])


def make_batch(rows: Sequence[Row], spec: Spec) -> dict[str, np.ndarray]:
    """frames: uint8 (B, T, H, W, 3); target: int64 (B,), -1 for a class not seen in training."""
    return {
        "frames": np.stack([schema.frames_of(row) for row in rows]),
        "target": target_b(rows, spec),
    }
