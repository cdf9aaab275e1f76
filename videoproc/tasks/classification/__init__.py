"""Classification: one label a clip."""

from videoproc.tasks.classification import (
    baselines,
    loss,
    measures,
    metrics,
    mistakes,
    outputs,
    plots,
    targets,
    videos,
)
from videoproc.tasks.task import Task

TASK = Task(
    targets,
    loss,
    metrics,
    outputs,
    plots=plots,
    baselines=baselines,
    measures=measures,
    videos=videos,
    mistakes=mistakes,
    whole_clip=True,
)
