"""Classification: one label a clip."""

from videoproc.tasks.classification import (
    baselines,
    classes,
    loss,
    measures,
    metrics,
    mistakes,
    outputs,
    plots,
    targets,
    temperature,
    videos,
)
from videoproc.tasks.task import Task

TASK = Task(
    targets,
    loss,
    metrics,
    outputs,
    plots=plots,
    classes=classes,
    baselines=baselines,
    measures=measures,
    temperature=temperature,
    videos=videos,
    mistakes=mistakes,
    whole_clip=True,
)
