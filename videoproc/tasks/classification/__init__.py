"""Classification: one label a clip."""

from videoproc.tasks.classification import (
    baselines,
    classes,
    ensemble,
    loss,
    measures,
    metrics,
    mistakes,
    outputs,
    plots,
    targets,
    temperature,
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
    classes=classes,
    baselines=baselines,
    measures=measures,
    temperature=temperature,
    videos=videos,
    mistakes=mistakes,
    training_loss=training_loss,
    ensemble=ensemble,
    whole_clip=True,
)
