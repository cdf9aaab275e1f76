"""An exponential moving average of a network's weights (Polyak and Juditsky 1992)."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Average:
    """Holds a network, `model`, of the same kind whose weights are the average."""

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False)
        self._decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, *, steps: int) -> None:
        """average = keep * average + (1 - keep) * weights, after `steps` steps in all.

        keep = min(decay, (1 + steps) / (10 + steps)): a short run's average does not hold its
        first, random weights. Counts of batches are taken as they are.
        """
        keep = min(self._decay, (1 + steps) / (10 + steps))
        own = self.model.state_dict()
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                own[name].lerp_(value, 1 - keep)
            else:
                own[name].copy_(value)
