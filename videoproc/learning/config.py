"""How a model is trained, as values: checked here, and readable without importing torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from videoproc.augment.settings import StepAugmentation

LEARNING_VERSION = 1  # raise it when the same config and data come to other weights


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


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How a model is trained.

    Args:
        epochs: passes over the training split.
        batch_size: clips a step, over all workers together.
        seed: decides initial weights, the order of samples and dropout.
        patience: stop after this many epochs without a better monitored metric; 0 never stops.
        checkpoint_every_steps: also checkpoint within epochs, every so many steps; 0 does not.
        precision: auto (bf16 on GPU, fp32 on CPU), fp32 or bf16.
        optim: the optimiser and its schedule.
        augmentation: what is done to clips in the training step; by default nothing.
    """

    epochs: int = 10
    batch_size: int = 32
    seed: int = 0
    patience: int = 0
    checkpoint_every_steps: int = 0
    precision: str = "auto"
    optim: OptimConfig = field(default_factory=OptimConfig)
    augmentation: StepAugmentation = field(default_factory=StepAugmentation)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"loop.{name} is {getattr(self, name)}: use 1 or more")
        for name in ("seed", "patience", "checkpoint_every_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"loop.{name} is {getattr(self, name)}: use 0 or more")
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ValueError(f"loop.precision is {self.precision!r}: use auto, fp32 or bf16")
