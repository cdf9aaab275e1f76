"""The part of a night that learns: models trained, measured, and the best of them applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import cli
from pipelines.evaluate import EvaluateConfig, evaluate, is_measured
from pipelines.initial import find_source
from pipelines.night_report import Diary
from pipelines.predict import PredictConfig, predict
from pipelines.train import TrainConfig, check_settings, prepare, train
from videoproc import runlog
from videoproc.learning.config import InitConfig
from videoproc.report.progress import say
from videoproc.tasks import select_task
from videoproc.types import UserError

if TYPE_CHECKING:
    from pipelines.nightly import NightlyConfig


def check(config: NightlyConfig) -> None:
    """Errors in what is to be learned, before anything is decoded."""
    select_task(config.task)
    for model in config.models:
        wanted = _train_config(config, model)
        check_settings(wanted, sampling=config.sampling, size=config.size)
        if wanted.init_from is not None:
            find_source(wanted.init_from, wanted.init)


def train_and_evaluate(config: NightlyConfig, diary: Diary) -> None:
    """For each model the run that trained it on just these clips and settings, now or earlier."""
    diary.monitor = select_task(config.task).metrics.MONITOR
    workspace, folder = cli.workspace(), cli.absolute(config.data)
    for model in config.models:
        wanted = _train_config(config, model)
        key = prepare(wanted).training_key
        tags = {"training_key": key, "job": "train", "data": str(folder)}
        run = runlog.find_run(data=folder, workspace=workspace, tags=tags)
        if run is None:
            with diary.phase(f"train {model}"):
                left = _left_by_a_night(tags, config, workspace)
                if left is not None:
                    say(
                        "nightly", f"{model}: run {left} was stopped as it learned this: it goes on"
                    )
                run = runlog.open_run(_train(wanted, left), workspace=workspace)
            diary.trained.add(model)
        else:
            say("nightly", f"{model}: as run {run.run_id} has learned it, not trained again")
        measured = EvaluateConfig(data=config.data, run=run.run_id)
        if not is_measured(measured):
            with diary.phase(f"evaluate {model}"):
                evaluate(measured)
        diary.models[model] = run


def _train(wanted: TrainConfig, left: str | None) -> str:
    """The id of the run that learned it: the one that was left, or a new one where that cannot go
    on, as with a damaged checkpoint."""
    if left is not None:
        try:
            return train(replace(wanted, resume=left))
        except UserError as error:
            say("nightly", f"{wanted.model}: run {left} cannot go on, a new one begins: {error}")
    return train(wanted)


def _left_by_a_night(tags: Mapping[str, str], config: NightlyConfig, workspace: Path) -> str | None:
    """The run with these tags that an earlier night began and did not end, by its id.

    One night at a time works on a dataset, so that nobody trains it still; one that was begun by
    hand may be under way.
    """
    folder = cli.absolute(config.data)
    run = runlog.find_run(data=folder, workspace=workspace, tags=tags, finished=False)
    return run.run_id if run is not None and "night" in run.tags else None


def predict_with_best(config: NightlyConfig, diary: Diary) -> None:
    """Apply the model that was best on the validation split to every video."""
    metrics = select_task(config.task).metrics
    best = _best(diary.models, metrics.MONITOR, maximise=metrics.MAXIMISE)
    say("nightly", f"{best} is the best on the validation split and predicts")
    try:
        diary.predicted = predict(
            PredictConfig(
                data=config.data,
                run=diary.models[best].run_id,
                accept=config.accept,
                limits=config.limits,
                max_failed_share=config.max_failed_share,
                max_failed=config.max_failed,
                placement=config.placement.decode,
                model_placement=config.placement.train,
            )
        )
    except cli.OverBudgetError as error:
        diary.predicted = error.done
        raise


def _train_config(config: NightlyConfig, model: str) -> TrainConfig:
    return TrainConfig(
        data=config.data,
        model=model,
        task=config.task,
        model_settings=config.model_settings.get(model, {}),
        loop=config.loop,
        init_from=config.init_from.get(model),
        init=config.init.get(model, InitConfig()),
        workers=config.workers,
        min_workers=config.min_workers,
        placement=config.placement.train,
        checkpoints=config.checkpoints,
    )


def _best(tested: Mapping[str, runlog.Run], monitor: str, *, maximise: bool) -> str:
    values = {
        model: [value for _, value in run.history(f"val/{monitor}")]
        for model, run in tested.items()
    }
    best_of = {model: max(v) if maximise else min(v) for model, v in values.items()}
    return (max if maximise else min)(best_of, key=best_of.__getitem__)
