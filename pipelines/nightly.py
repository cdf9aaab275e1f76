"""The whole night: index, extract, train, evaluate, predict. What is done already is not redone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipelines import cli
from pipelines.evaluate import EvaluateConfig, evaluate
from pipelines.extract import ExtractConfig, extract
from pipelines.index import IndexConfig, index
from pipelines.predict import PredictConfig, predict
from pipelines.synthesize import SynthesizeConfig
from pipelines.synthesize import run as synthesize
from pipelines.train import TrainConfig, prepare, train
from videoproc import runlog
from videoproc.augment import Augmentation
from videoproc.corpus.splits import SplitConfig
from videoproc.corpus.synthetic import SyntheticConfig
from videoproc.learning.loop import LoopConfig
from videoproc.media import Limits, Sampling, Size
from videoproc.report.progress import say
from videoproc.report.table import side_by_side
from videoproc.runtime import session
from videoproc.tasks import select_task


@dataclass(frozen=True, kw_only=True)
class NightlyConfig:
    """What nightly does.

    Args:
        source: the corpus: a folder, or a CSV file with a column `file`.
        data: the dataset folder.
        synthesize: make the corpus first, in the folder of `source`; for a demonstration.
        layout: how the corpus lies on disk: folder (a folder a class) or csv.
        split: how labelled videos are divided into train, val and test.
        sampling: which frames of a video make a clip.
        size: the size that frames are scaled to, in pixels.
        augmentation: how augmented views are drawn; by default there are none.
        features: the features to compute, by name.
        limits: what decoding one video may cost before it is given up.
        max_failed_share: fail when more than this share of the corpus has no clips.
        models: the architectures to train and compare, by name; none leaves it at the data.
        task: what is learned, by name.
        model_settings: settings, by architecture, that differ from its defaults.
        loop: how the models are trained.
        workers: processes that train together.
    """

    source: str
    data: str
    synthesize: SyntheticConfig | None = None
    layout: str = "folder"
    split: SplitConfig = field(default_factory=SplitConfig)
    sampling: Sampling = field(default_factory=Sampling)
    size: Size = field(default_factory=Size)
    augmentation: Augmentation = field(default_factory=Augmentation)
    features: tuple[str, ...] = ("colour", "motion")
    limits: Limits = field(default_factory=Limits)
    max_failed_share: float = 0.2
    models: tuple[str, ...] = ("cnn", "cnn_gru")
    task: str = "classification"
    model_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    loop: LoopConfig = field(default_factory=LoopConfig)
    workers: int = 1

    def __post_init__(self) -> None:
        unknown = set(self.model_settings) - set(self.models)
        if unknown:
            raise ValueError(
                f"model_settings names {sorted(unknown)}, models are {list(self.models)}: "
                "give settings of models that are trained"
            )


def nightly(config: NightlyConfig) -> None:
    """The whole night: index, extract, train, evaluate, predict. What is done is not redone."""
    started = time.monotonic()
    task = select_task(config.task)
    if config.synthesize is not None:
        output = str(cli.absolute(config.source).parent)
        synthesize(SynthesizeConfig(output=output, **vars(config.synthesize)))
    with session.lasting():
        _process(config)
        tested = {model: _learn(config, model) for model in config.models}
        if tested:
            best = _best(tested, task.metrics.MONITOR, maximise=task.metrics.MAXIMISE)
            say("nightly", f"{best} is the best on the validation split and predicts")
            predict(PredictConfig(data=config.data, run=tested[best].run_id, limits=config.limits))
    say("nightly", f"done in {time.monotonic() - started:.0f} s")
    if tested:
        _say_comparison(tested)


def _process(config: NightlyConfig) -> None:
    index(
        IndexConfig(
            source=config.source, data=config.data, layout=config.layout, split=config.split
        )
    )
    extract(
        ExtractConfig(
            data=config.data,
            sampling=config.sampling,
            size=config.size,
            augmentation=config.augmentation,
            features=config.features,
            limits=config.limits,
            max_failed_share=config.max_failed_share,
        )
    )


def _learn(config: NightlyConfig, model: str) -> runlog.Run:
    """The run that trained `model` on just these clips and settings, now or some night before."""
    wanted = TrainConfig(
        data=config.data,
        model=model,
        task=config.task,
        model_settings=config.model_settings.get(model, {}),
        loop=config.loop,
        workers=config.workers,
    )
    workspace, folder = cli.workspace(), cli.absolute(config.data)
    tags = {"training_key": prepare(wanted).training_key, "job": "train"}
    run = runlog.find_run(data=folder, workspace=workspace, tags=tags)
    if run is None:
        run = runlog.open_run(train(wanted), workspace=workspace)
    else:
        say("nightly", f"{model}: nothing has changed since run {run.run_id}, not trained again")
    if not any(name.startswith("test/") for name in run.metrics):
        evaluate(EvaluateConfig(data=config.data, run=run.run_id))
    return run


def _best(tested: Mapping[str, runlog.Run], monitor: str, *, maximise: bool) -> str:
    values = {
        model: [value for _, value in run.history(f"val/{monitor}")]
        for model, run in tested.items()
    }
    best_of = {model: max(v) if maximise else min(v) for model, v in values.items()}
    return (max if maximise else min)(best_of, key=best_of.__getitem__)


def _say_comparison(tested: Mapping[str, runlog.Run]) -> None:
    columns = {
        model: {
            name.removeprefix("test/"): value
            for name, value in run.metrics.items()
            if name.startswith("test/")
        }
        for model, run in tested.items()
    }
    print(f"\nOn the test split:\n\n{side_by_side(columns)}\n")
    for model, run in tested.items():
        print(f"{model}: run {run.run_id}")
    charts = next(iter(tested.values())).charts
    print("\nCompare the runs, their curves and pictures: `make mlflow`, then")
    print(f"http://127.0.0.1:5000/{charts}", flush=True)


if __name__ == "__main__":
    cli.main(nightly, NightlyConfig)
