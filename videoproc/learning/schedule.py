"""The learning rate of each step: a function of the step and, for `plateau`, of past epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence

from videoproc.learning.config import OptimConfig

CYCLE_START, CYCLE_END = 1 / 25, 1e-4 / 25
"""The first and the last rate of one_cycle by its peak (the defaults of torch's OneCycleLR)."""

Quality = tuple[float, ...]
"""How good a model is after an epoch: the higher the better, compared number by number."""


def learning_rate(
    step: int, *, total_steps: int, steps_per_epoch: int, config: OptimConfig, drops: int = 0
) -> float:
    """The rate of step `step`, counted from 0.

    With w warm-up steps it is peak * (step + 1) / w while step < w. Then, p being the share of the
    rest that is done, (step - w) / (total_steps - w):

        constant     peak
        step         peak * factor ** floor(epoch / every_epochs), epochs counted from 0
        exponential  peak * final ** p
        cosine       peak * (1 + cos(pi * p)) / 2
        plateau      peak * factor ** drops
        one_cycle    see _one_cycle

    drops: of `plateau`, how often the rate was lowered.
    """
    schedule, peak = config.schedule, config.learning_rate
    warmup = math.ceil(total_steps * config.warmup_share)
    if schedule.name == "one_cycle":
        return _one_cycle(step, total_steps=total_steps, top=max(warmup, 1) - 1, peak=peak)
    if step < warmup:
        return peak * (step + 1) / warmup
    progress = (step - warmup) / max(1, total_steps - warmup)
    match schedule.name:
        case "constant":
            return peak
        case "step":
            return peak * schedule.factor ** (step // steps_per_epoch // schedule.every_epochs)
        case "exponential":
            return peak * schedule.final**progress
        case "plateau":
            return peak * schedule.factor**drops
        case _:
            return peak * (1 + math.cos(math.pi * progress)) / 2


def _one_cycle(step: int, *, total_steps: int, top: int, peak: float) -> float:
    """Linear from peak / 25 at step 0 to the peak at step `top`, and linear from there to a 10000th
    of the first rate at the last step (Smith and Topin 2018)."""
    if step < top:
        return peak * (CYCLE_START + (1 - CYCLE_START) * step / top)
    progress = (step - top) / max(1, total_steps - 1 - top)
    return peak * (1 + (CYCLE_END - 1) * progress)


def plateau_drops(epochs: Sequence[Quality], *, patience: int) -> int:
    """How often the rate was lowered by the end of `epochs`: each time that `patience` of them,
    since the best or since it was last lowered, were none better than the best."""
    drops, since, best = 0, 0, None
    for quality in epochs:
        if best is None or quality > best:
            best, since = quality, 0
        else:
            since += 1
        if since == patience:
            drops, since = drops + 1, 0
    return drops
