"""What the driver hears while workers train.

Apart from the trainer: the process of the queue reads these, and needs no torch for it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Epoch:
    """From the workers: the metrics of an epoch, counted from 0."""

    metrics: dict[str, float]
    number: int


@dataclass(frozen=True)
class Started:
    """From the workers: so many of them train from now on."""

    workers: int


@dataclass(frozen=True)
class Notice:
    """From the workers: nodes that they stand on will be taken away, by their ids."""

    nodes: tuple[str, ...]
    in_s: float | None


@dataclass(frozen=True)
class Stopped:
    """From Ray Train's controller: the workers have failed, and why."""

    why: str


News = Epoch | Started | Notice | Stopped
