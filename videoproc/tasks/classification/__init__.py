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
    training_loss,
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
    training_loss=training_loss,
    whole_clip=True,
)
