"""One folder a task, the same file names in each. To add one: a folder and a line in TASKS."""

from __future__ import annotations

from videoproc.tasks import classification
from videoproc.tasks.task import Answer, Batch, LossB, LossModule, Mistake, Scores, Spec, Task
from videoproc.types import UserError

TASKS: dict[str, Task] = {
    "classification": classification.TASK,
}


def select_task(name: str) -> Task:
    """The task of this name; an unknown one is the user's to mend."""
    if name not in TASKS:
        raise UserError(f"task: no task {name!r}; there are {', '.join(TASKS)}")
    return TASKS[name]


__all__ = [
    "TASKS",
    "Answer",
    "Batch",
    "LossB",
    "LossModule",
    "Mistake",
    "Scores",
    "Spec",
    "Task",
    "select_task",
]
