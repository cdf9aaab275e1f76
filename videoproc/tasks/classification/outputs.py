"""A prediction: the most probable class and the probability of each."""

from __future__ import annotations

import pyarrow as pa
import torch
from torch import nn

from videoproc.tasks.classification import classes
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
    """One row a clip, of logits (B, K)."""
    return classes.rows(outputs.float().softmax(dim=1).numpy(), spec)


def export(model: nn.Module) -> nn.Module:
    """Frames in, probabilities out."""
    return nn.Sequential(model, nn.Softmax(dim=1))
