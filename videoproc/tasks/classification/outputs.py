"""A prediction: the most probable class and the probability of each."""

from __future__ import annotations

import pyarrow as pa
import torch
from torch import nn

from videoproc.tasks.task import Spec
from videoproc.types import Row

COLUMNS = pa.schema(
    [
        ("label", pa.string()),
        ("probability", pa.float32()),
        ("classes", pa.list_(pa.string())),
        ("probabilities", pa.list_(pa.float32())),
    ]
)


def rows(outputs: torch.Tensor, spec: Spec) -> list[Row]:
    """One row a clip; `probabilities` in the order of `classes`."""
    return [
        {
            "label": spec["classes"][max(range(len(row)), key=row.__getitem__)],
            "probability": max(row),
            "classes": spec["classes"],
            "probabilities": row,
        }
        for row in outputs.float().softmax(dim=1).tolist()
    ]


def export(model: nn.Module) -> nn.Module:
    """Frames in, probabilities out."""
    return nn.Sequential(model, nn.Softmax(dim=1))
