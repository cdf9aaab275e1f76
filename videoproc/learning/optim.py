"""The optimiser and its schedule."""

from __future__ import annotations

import math

import torch
from torch import nn

from videoproc.learning.config import OptimConfig


def learning_rate(step: int, *, total_steps: int, config: OptimConfig) -> float:
    """The rate of step `step`, counted from 0.

    With w = warm-up steps: peak * (step + 1) / w while step < w, then
    peak * (1 + cos(pi * (step - w) / (total_steps - w))) / 2.
    """
    warmup = math.ceil(total_steps * config.warmup_share)
    if step < warmup:
        return config.learning_rate * (step + 1) / warmup
    progress = (step - warmup) / max(1, total_steps - warmup)
    return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def make_optimiser(model: nn.Module, config: OptimConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices and filters and leaves vectors (biases) alone."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return torch.optim.AdamW(
        [
            {
                "params": [p for p in parameters if p.ndim > 1],
                "weight_decay": config.weight_decay,
            },
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ],
        lr=config.learning_rate,
    )
