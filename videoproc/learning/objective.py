"""What training minimises: the task's loss, or one that settings shape."""

from __future__ import annotations

from collections.abc import Sequence

from videoproc.learning.config import LossConfig
from videoproc.tasks import LossB, Spec, Task
from videoproc.types import Row, UserError


def training_loss(task: Task, rows: Sequence[Row], spec: Spec, config: LossConfig) -> LossB:
    """The loss of each sample for rows that are learned from. Errors: as check_loss."""
    check_loss(task, config)
    if task.training_loss is None or config == LossConfig():
        return task.loss.loss_b
    return task.training_loss.make_loss(
        rows,
        spec,
        label_smoothing=config.label_smoothing,
        class_weights=config.class_weights,
    )


def check_loss(task: Task, config: LossConfig) -> None:
    """UserError for settings of the loss where a task has none."""
    if task.training_loss is None and config != LossConfig():
        raise UserError(
            f"loop.loss is {config}, and the loss of this task has no settings: leave it out"
        )
