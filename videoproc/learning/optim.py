"""The optimiser and its schedule."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """AdamW with linear warm-up and cosine decay.

    Args:
        learning_rate: the peak rate, reached at the end of the warm-up.
        weight_decay: decoupled decay of weights, not of biases (Loshchilov and Hutter 2019).
        warmup_share: share of all steps in which the rate rises from 0.
        clip_norm: gradients are scaled down to this global norm.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip_norm"):
            if getattr(self, name) <= 0:
                raise ValueError(f"optim.{name} is {getattr(self, name)}: use a number above 0")
        if self.weight_decay < 0:
            raise ValueError(f"optim.weight_decay is {self.weight_decay}: use 0 or more")
        if not 0 <= self.warmup_share < 1:
            raise ValueError(f"optim.warmup_share is {self.warmup_share}: use a share in [0, 1)")


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
