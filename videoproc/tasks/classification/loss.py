"""Cross-entropy on logits."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from videoproc.tasks.task import Batch


def forward(model: nn.Module, batch: Batch) -> torch.Tensor:
    """Logits (B, K)."""
    return model(batch["frames"])


def loss_b(outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Cross-entropy in nats of each sample; 0 where its class was not seen in training."""
    return F.cross_entropy(outputs.float(), batch["target"], reduction="none", ignore_index=-1)
