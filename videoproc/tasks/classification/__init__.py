"""Classification: one label a clip."""

from videoproc.tasks.classification import baselines, loss, metrics, outputs, plots, targets
from videoproc.tasks.task import Task

TASK = Task(targets, loss, metrics, outputs, plots, baselines)
