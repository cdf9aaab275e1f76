"""How a model is trained, as values: checked here, and readable without importing torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

from videoproc.augment.settings import StepAugmentation

LEARNING_VERSION = 1  # raise it when the same config and data come to other weights
OPTIMISERS = ("sgd", "adam", "adamw")
SCHEDULES = ("constant", "step", "exponential", "cosine", "one_cycle", "plateau")
CLASS_WEIGHTS = ("none", "balanced")
WEIGHTS_SUFFIX = ".safetensors"  # what tells a file of first weights from the id of a run


@dataclass(frozen=True, kw_only=True)
class ScheduleConfig:
    """How the rate goes on from its peak when the warm-up is over; docs/training.md has the
    formulas.

    Args:
        name: constant, step, exponential, cosine (to 0), one_cycle or plateau. The rise of
            one_cycle is its warm-up: optim.warmup_share 0.3 is usual.
        factor: what step and plateau multiply the rate by, again and again.
        every_epochs: step does so after each so many epochs.
        patience: plateau does so after so many epochs without a better monitored metric.
        final: the share of the peak to which exponential has fallen at the end.
    """

    name: str = "cosine"
    factor: float = 0.1
    every_epochs: int = 10
    patience: int = 5
    final: float = 0.01

    def __post_init__(self) -> None:
        _check_one_of(self.name, SCHEDULES, setting="optim.schedule.name")
        for name in ("factor", "final"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(
                    f"optim.schedule.{name} is {getattr(self, name)}: use a number between 0 and 1"
                )
        for name in ("every_epochs", "patience"):
            if getattr(self, name) < 1:
                raise ValueError(f"optim.schedule.{name} is {getattr(self, name)}: use 1 or more")


@dataclass(frozen=True, kw_only=True)
class OptimConfig:
    """The optimiser, its rate from step to step, and what else acts on gradients.

    Args:
        learning_rate: the peak rate, reached at the end of the warm-up.
        weight_decay: of adamw: decoupled decay of weights, not of biases (Loshchilov and Hutter
            2019). sgd and adam have l2 in its place.
        warmup_share: share of all steps in which the rate rises from 0.
        clip_norm: gradients are scaled down to this global norm.
        name: sgd, adam (Kingma and Ba 2015) or adamw.
        momentum: of sgd.
        nesterov: of sgd: look ahead by the momentum (Sutskever et al. 2013).
        l1: times the sum of the weights' sizes, a penalty beside the loss; not of biases.
        l2: times half the sum of the weights' squares, likewise.
        rates: parts of the model, by the beginning of their parameters' names, whose rate is
            another: what it is multiplied by, 0 to freeze the part.
        schedule: how the rate goes on after the warm-up.
    """

    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup_share: float = 0.1
    clip_norm: float = 1.0
    name: str = "adamw"
    momentum: float = 0.9
    nesterov: bool = False
    l1: float = 0.0
    l2: float = 0.0
    rates: dict[str, float] = field(default_factory=dict)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)

    def __post_init__(self) -> None:
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"optim.{name} is {getattr(self, name)}: use a number above 0")
        for name in ("weight_decay", "l1", "l2"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"optim.{name} is {getattr(self, name)}: use 0 or more")
        for name in ("warmup_share", "momentum"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"optim.{name} is {getattr(self, name)}: use a share in [0, 1)")
        _check_one_of(self.name, OPTIMISERS, setting="optim.name")
        if self.name != "adamw" and self.weight_decay not in (0.0, OptimConfig.weight_decay):
            raise ValueError(
                f"optim.weight_decay is {self.weight_decay}, and optim.name {self.name!r} has "
                "none: use optim.l2, or adamw"
            )
        if self.nesterov and (self.name != "sgd" or not self.momentum):
            raise ValueError(
                f"optim.nesterov is true with optim.name {self.name!r} and momentum "
                f"{self.momentum}: use it with sgd and a momentum above 0"
            )
        for part, factor in self.rates.items():
            if not factor >= 0:
                raise ValueError(
                    f"optim.rates: {part!r} is {factor}: use 0 (frozen) or a factor above it"
                )


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """What is minimised in place of the task's plain loss. Validation and test keep to that.

    Args:
        label_smoothing: the share of a target that is spread over all classes alike (Szegedy et
            al. 2016).
        class_weights: none, or balanced: a clip's loss by the inverse frequency of its class.
    """

    label_smoothing: float = 0.0
    class_weights: str = "none"

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(
                f"loop.loss.label_smoothing is {self.label_smoothing}: use a share in [0, 1)"
            )
        _check_one_of(self.class_weights, CLASS_WEIGHTS, setting="loop.loss.class_weights")


@dataclass(frozen=True, kw_only=True)
class SegmentConfig:
    """Which of a clip's frames the network takes (Wang et al. 2016, temporal segment networks).

    Args:
        count: frames that it takes: one of each of so many equal segments of the clip, in training
            another in each epoch. 0 takes all of the clip.
        answers: outside training its answer is the mean over so many choices, evenly placed.
    """

    count: int = 0
    answers: int = 1

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"loop.segments.count is {self.count}: use 0 (all frames) or more")
        if self.answers < 1:
            raise ValueError(f"loop.segments.answers is {self.answers}: use 1 or more")
        if self.answers > 1 and not self.count:
            raise ValueError(
                f"loop.segments.answers is {self.answers} and loop.segments.count is 0, which "
                "leaves one choice: give a count below the clip's frames"
            )


@dataclass(frozen=True, kw_only=True)
class InitConfig:
    """How the tensors of `init_from` find their place in the model.

    Args:
        name_map: from the source's names, or their beginnings, to the model's; names that none of
            them begins stay as they are.
        skip: parts of the model that keep their random weights, such as a head for other classes.
        strict: refuse a source that does not have every other tensor of the model.
    """

    name_map: dict[str, str] = field(default_factory=dict)
    skip: tuple[str, ...] = ()
    strict: bool = False

    def check_used(self, init_from: str | None) -> None:
        """ValueError where this differs from the default and there is nothing to begin with."""
        if init_from is None and self != InitConfig():
            raise ValueError(f"init is {self}, and init_from is not given: name its source")


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
        loss: what is minimised.
        balanced_sampling: draw every class equally often in an epoch: clips of rare classes come
            several times, and of frequent ones another part each epoch.
        accumulate: compute each worker's part of a batch in so many parts, for less memory.
        average: validate, and keep as the best, an exponential moving average of the weights that
            keeps this share of itself each step, such as 0.999 (less in the first steps); 0 has
            none.
        channels_last: keep filters and maps channel by channel within each pixel.
        compile: compile the model with torch.compile, once a shape of batch.
        segments: which of a clip's frames the network takes.
    """

    epochs: int = 10
    batch_size: int = 32
    seed: int = 0
    patience: int = 0
    checkpoint_every_steps: int = 0
    precision: str = "auto"
    optim: OptimConfig = field(default_factory=OptimConfig)
    augmentation: StepAugmentation = field(default_factory=StepAugmentation)
    loss: LossConfig = field(default_factory=LossConfig)
    balanced_sampling: bool = False
    accumulate: int = 1
    average: float = 0.0
    channels_last: bool = False
    compile: bool = False
    segments: SegmentConfig = field(default_factory=SegmentConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(f"loop.{name} is {getattr(self, name)}: use 1 or more")
        for name in ("seed", "patience", "checkpoint_every_steps"):
            if getattr(self, name) < 0:
                raise ValueError(f"loop.{name} is {getattr(self, name)}: use 0 or more")
        _check_one_of(self.precision, ("auto", "fp32", "bf16"), setting="loop.precision")
        if not 0 <= self.average < 1:
            raise ValueError(f"loop.average is {self.average}: use a share in [0, 1)")
        if self.balanced_sampling and self.loss.class_weights != "none":
            raise ValueError(
                f"loop.balanced_sampling is true and loop.loss.class_weights is "
                f"{self.loss.class_weights!r}, which would balance classes twice: use one of them"
            )

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the weights. Settings that came after the first keys were made are left out
        where they are at their default, so that those keys stay what they were."""
        kept = asdict(self) | {"optim": _without_defaults(self.optim, first=FIRST_OF_OPTIM)}
        return {name: kept[name] for name in _without_defaults(self, first=FIRST_OF_LOOP)}


FIRST_OF_LOOP = (
    *("epochs", "batch_size", "seed", "patience", "checkpoint_every_steps", "precision"),
    *("optim", "augmentation"),
)
FIRST_OF_OPTIM = ("learning_rate", "weight_decay", "warmup_share", "clip_norm")


def _without_defaults(settings: LoopConfig | OptimConfig, *, first: tuple[str, ...]) -> Any:
    values, defaults = asdict(settings), asdict(type(settings)())
    names = [one.name for one in fields(settings)]
    return {n: values[n] for n in names if n in first or values[n] != defaults[n]}


def _check_one_of(value: str, allowed: tuple[str, ...], *, setting: str) -> None:
    if value not in allowed:
        raise ValueError(f"{setting} is {value!r}: use {', '.join(allowed[:-1])} or {allowed[-1]}")
