"""The optimiser, and the penalties on weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from videoproc.learning.config import OptimConfig
from videoproc.models.initial import parameter_groups
from videoproc.types import UserError

RATE_FACTOR = "rate_factor"
"""Of an optimiser's group: what the learning rate is multiplied by."""


def make_optimiser(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """The optimiser of the parameters that learn. Decay is for matrices and filters, and leaves
    vectors (biases) alone; parts of another rate are groups of their own.

    Errors: UserError for `rates` that name no part or leave nothing to learn.
    """
    decay = config.weight_decay if config.name == "adamw" else 0.0
    groups: list[dict[str, Any]] = []
    for group in parameter_groups(model, config.rates):
        learning = [p for p in group["params"] if p.requires_grad]
        for params, weight_decay in (
            ([p for p in learning if is_weight(p)], decay),
            ([p for p in learning if not is_weight(p)], 0.0),
        ):
            groups.append({**group, "params": params, "weight_decay": weight_decay})
    if not any(group["params"] for group in groups):
        raise UserError(f"optim.rates {config.rates} freeze the whole model: leave a part to learn")
    rate = config.learning_rate
    if config.name == "sgd":
        return torch.optim.SGD(groups, lr=rate, momentum=config.momentum, nesterov=config.nesterov)
    return {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.name](groups, lr=rate)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate * group[RATE_FACTOR]


@torch.no_grad()
def add_penalties(model: nn.Module, *, l1: float, l2: float) -> None:
    """Add to the gradients those of l1 * sum(|w|) + l2 / 2 * sum(w ** 2) over matrices and filters.

    Once a step, after the exchange: the sum over workers has it once, whatever their number.
    """
    if not l1 and not l2:
        return
    for weight in model.parameters():
        if is_weight(weight) and weight.grad is not None:
            weight.grad += l1 * weight.sign() + l2 * weight


def is_weight(parameter: nn.Parameter) -> bool:
    """Whether a parameter is a matrix or a filter; others are biases, gains, single vectors."""
    return parameter.ndim > 1
