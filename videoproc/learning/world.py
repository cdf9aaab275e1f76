"""The workers of a data-parallel run, or the one process that there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class World:
    """This worker's rank among `size`, and the device that it computes on."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def current(cls, device: torch.device | None = None) -> World:
        """As the process group says; alone where there is none."""
        together = dist.is_available() and dist.is_initialized()
        device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
        return cls(
            rank=dist.get_rank() if together else 0,
            size=dist.get_world_size() if together else 1,
            device=device,
        )

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model whose gradients are averaged over the workers."""
        if self.size == 1:
            return model
        ids = [self.device.index or 0] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=ids)

    def sum(self, value: float) -> float:
        """The sum over the workers, in double precision."""
        return self.sums(value)[0]

    def sums(self, *values: float) -> list[float]:
        """The sum over the workers of each value, in one exchange."""
        if self.size == 1:
            return list(values)
        totals = torch.tensor(values, dtype=torch.float64, device=self.device)
        dist.all_reduce(totals)
        return [float(total) for total in totals.tolist()]

    def gather(self, value: T) -> list[T]:
        """Every worker's value, in the order of ranks, on every worker."""
        if self.size == 1:
            return [value]
        gathered: list[T | None] = [None] * self.size
        dist.all_gather_object(gathered, value)
        return gathered  # type: ignore[return-value]

    def share_buffers(self, model: nn.Module) -> None:
        """Give the model of every worker the buffers, such as batch statistics, of rank 0's."""
        if self.size > 1:
            for buffer in model.buffers():
                dist.broadcast(buffer, src=0)

    def barrier(self) -> None:
        if self.size > 1:
            self.sum(0.0)
