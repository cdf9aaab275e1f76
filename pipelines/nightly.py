"""The whole night: index, extract, train, evaluate, predict. What is done already is not redone."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import pyarrow.compute as pc

from pipelines import cli
from pipelines.extract import ExtractConfig, extract
from pipelines.index import IndexConfig, index, label_rule
from pipelines.night_report import Diary, test_metrics, write_report
from pipelines.synthesize import SynthesizeConfig
from pipelines.synthesize import run as synthesize
from videoproc import runlog, schema
from videoproc.augment import AUGMENT_VERSION, Augmentation
from videoproc.corpus import survey
from videoproc.corpus.splits import SplitConfig
from videoproc.corpus.synthetic import SyntheticConfig
from videoproc.features import select_features
from videoproc.learning.config import (
    LEARNING_VERSION,
    WEIGHTS_SUFFIX,
    InitConfig,
    LoopConfig,
)
from videoproc.media import DECODE_VERSION, Accept, Limits, Sampling, Size
from videoproc.report.night import DONE as OUTCOME_DONE
from videoproc.report.night import FAILED, NOTHING_NEW
from videoproc.report.progress import say
from videoproc.report.table import side_by_side, with_intervals
from videoproc.runtime.placement import Placement
from videoproc.tables import Dataset, FrameFormat, lease
from videoproc.tables.lease import HeldError

DONE = "night.json"
"""In the dataset: the key of the last night that ended well."""


@dataclass(frozen=True, kw_only=True)
class NightPlacement:
    """Which nodes of a cluster do what.

    Args:
        decode: those that decode: extract, and predict before its model.
        train: those that train, and those with GPUs that hold the model of predict.
    """

    decode: Placement = field(default_factory=Placement)
    train: Placement = field(default_factory=Placement)


@dataclass(frozen=True, kw_only=True)
class NightlyConfig:
    """What nightly does.

    Args:
        source: the corpus: a folder, or a list of files, here or in an object store (s3://).
        data: the dataset folder.
        synthesize: make the corpus first, in the folder of `source`; for a demonstration.
        layout: how the corpus is laid out: folder, csv, jsonl, parquet or ucf101.
        split: how labelled videos are divided into train, val and test.
        sampling: which frames of a video make a clip.
        size: the size that frames are scaled to, in pixels.
        augmentation: how augmented views are drawn; by default there are none.
        frames: how the frames of clips are stored.
        features: the features to compute, by name.
        accept: material that is taken as it is, or refused.
        limits: what decoding one video may cost before it is given up.
        max_failed_share: fail when more than this share of the corpus has no clips.
        max_failed: fail when more videos than this have no clips; by default any number.
        max_vanished_share: stop where more than this share of the known videos is gone.
        keeps_labels: augmentations after which a clip keeps its label, such as [flip_horizontal];
            those that mirror space or time need it. By default those of the last time.
        changes_labels: augmentations that must not be used on this corpus, such as [hue]. By
            default those of the last time.
        roots: the places that videos may lie in, as of index: by default those of the last time,
            else the folder of the source alone.
        models: the architectures to train and compare, by name; none leaves it at the data.
        task: what is learned, by name.
        model_settings: settings, by architecture, that differ from its defaults.
        init_from: by architecture, what it begins with: the weights of a training run, by its id
            or the beginning of it, or of a safetensors file; the others' are random.
        init: by architecture, how those weights find their place in the model.
        loop: how the models are trained.
        workers: processes that train together.
        min_workers: go on with as few as this while there is no room for all; by default training
            waits for room.
        placement: which nodes of a cluster decode, and which train.
        checkpoints: the folder of checkpoints, here or in an object store; by default
            WORKSPACE/runs.
        commit_every_s: seconds between commits of extract; what a kill can cost.
        wait_s: how long to wait where another night works on this dataset, before giving up.
    """

    source: str
    data: str
    synthesize: SyntheticConfig | None = None
    layout: str = "folder"
    split: SplitConfig = field(default_factory=SplitConfig)
    sampling: Sampling = field(default_factory=Sampling)
    size: Size = field(default_factory=Size)
    augmentation: Augmentation = field(default_factory=Augmentation)
    frames: FrameFormat = field(default_factory=FrameFormat)
    features: tuple[str, ...] = ("colour", "motion")
    accept: Accept = field(default_factory=Accept)
    limits: Limits = field(default_factory=Limits)
    max_failed_share: float = 0.2
    max_failed: int | None = None
    max_vanished_share: float = 0.5
    keeps_labels: tuple[str, ...] | None = None
    changes_labels: tuple[str, ...] | None = None
    roots: tuple[str, ...] | None = None
    models: tuple[str, ...] = ("cnn", "cnn_gru")
    task: str = "classification"
    model_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    init_from: dict[str, str] = field(default_factory=dict)
    init: dict[str, InitConfig] = field(default_factory=dict)
    loop: LoopConfig = field(default_factory=LoopConfig)
    workers: int = 1
    min_workers: int | None = None
    placement: NightPlacement = field(default_factory=NightPlacement)
    checkpoints: str | None = None
    commit_every_s: float = 5.0
    wait_s: float = 0.0

    def __post_init__(self) -> None:
        for setting in ("model_settings", "init_from"):
            if unknown := sorted(set(getattr(self, setting)) - set(self.models)):
                raise ValueError(
                    f"{setting} names {unknown}, models are {list(self.models)}: give settings of "
                    "models that are trained"
                )
        if unknown := sorted(set(self.init) - set(self.init_from)):
            raise ValueError(f"init names {unknown}, and init_from does not: name their sources")
        if not self.wait_s >= 0:
            raise ValueError(f"wait_s is {self.wait_s}: use seconds, 0 or more")
        # Each job checks its own part: better now than after hours of decoding.
        self.index_config()
        select_features(self.extract_config().features)

    def index_config(self) -> IndexConfig:
        return IndexConfig(
            source=self.source,
            data=self.data,
            layout=self.layout,
            split=self.split,
            max_vanished_share=self.max_vanished_share,
            limits=replace(
                self.limits, timeout_s=max(self.limits.timeout_s, survey.LIMITS.timeout_s)
            ),
            keeps_labels=self.keeps_labels,
            changes_labels=self.changes_labels,
            roots=self.roots,
        )

    def extract_config(self) -> ExtractConfig:
        return ExtractConfig(
            data=self.data,
            sampling=self.sampling,
            size=self.size,
            augmentation=self.augmentation,
            frames=self.frames,
            features=self.features,
            accept=self.accept,
            limits=self.limits,
            max_failed_share=self.max_failed_share,
            max_failed=self.max_failed,
            commit_every_s=self.commit_every_s,
            placement=self.placement.decode,
        )


def nightly(config: NightlyConfig) -> None:
    """The whole night: index, extract, train, evaluate, predict. What is done is not redone."""
    if config.synthesize is not None:
        output = str(cli.absolute(config.source).parent)
        synthesize(SynthesizeConfig(output=output, **vars(config.synthesize)))
    dataset = Dataset(folder=cli.absolute(config.data))
    try:
        with lease.hold(
            dataset.lease,
            job="nightly",
            wait_s=config.wait_s,
            on_wait=lambda text: say("nightly", text),
        ):
            _night(config, dataset)
    except HeldError as error:
        raise cli.JobError(
            f"another night works on {dataset.folder} ({error}): wait for its end, or let this "
            "one wait with --wait_s SECONDS"
        ) from error


def _night(config: NightlyConfig, dataset: Dataset) -> None:
    diary = Diary.begin(dataset)
    with (
        runlog.job_run(
            "nightly", data=dataset.folder, workspace=cli.workspace(), config=asdict(config)
        ) as run,
        runlog.night(run),
    ):
        try:
            outcome, key = _work(config, diary)
            report = write_report(diary, run, outcome=outcome)
        except BaseException as error:
            _report_failure(diary, run, error)
            raise
        dataset.write_text(DONE, key)
    elapsed_s = time.monotonic() - diary.began_s
    if outcome == NOTHING_NEW:
        say("nightly", f"nothing new: done in {elapsed_s:.1f} s")
    else:
        say("nightly", f"done in {elapsed_s:.0f} s")
    say("nightly", f"report: {report}")
    if diary.models:
        _say_comparison(diary.models)


def _work(config: NightlyConfig, diary: Diary) -> tuple[str, str]:
    """The jobs of the night, one after another; its outcome, and the key to know it by."""
    rule = label_rule(diary.dataset, keeps=config.keeps_labels, changes=config.changes_labels)
    used = (*config.augmentation.used, *(config.loop.augmentation.used if config.models else ()))
    rule.check(used, dataset=diary.dataset.folder)
    if config.models and diary.dataset.read_text(DONE) is None:
        _check_learning(config)  # before a first night reads the whole corpus
    with diary.phase("index"):
        diary.manifest = index(config.index_config())
    # The manifest of now: what changes while this night works is new to the next.
    version, first_weights = diary.dataset.manifest.version, _first_weights(config)
    key = _key(config, diary.dataset, version, first_weights)
    if diary.dataset.read_text(DONE) == key and not _is_retry_wanted(diary.dataset):
        return NOTHING_NEW, key
    _check_learning(config)
    # Imported here, with torch and Ray: an empty night ends before, and saves the seconds.
    from pipelines import night_learning
    from videoproc.runtime import session

    with session.lasting():
        with diary.phase("extract"):
            _extract(config, diary)
        if config.models:
            night_learning.train_and_evaluate(config, diary)
            with diary.phase("predict"):
                night_learning.predict_with_best(config, diary)
    return OUTCOME_DONE, _key(config, diary.dataset, version, first_weights)


def _check_learning(config: NightlyConfig) -> None:
    from pipelines import night_learning

    night_learning.check(config)


def _is_retry_wanted(dataset: Dataset) -> bool:
    return bool(pc.any(dataset.quarantine.read(["retry"])["retry"]).as_py())


def _extract(config: NightlyConfig, diary: Diary) -> None:
    try:
        diary.extracted = extract(config.extract_config())
    except BaseException as error:
        diary.extracted = getattr(error, "done", None)  # what it did until then
        raise


def _report_failure(diary: Diary, run: runlog.Run, error: BaseException) -> None:
    """A night that fails is reported as well; what fails in doing so must not hide why."""
    reason = cli.in_one_line(error)
    try:
        report = write_report(diary, run, outcome=FAILED, error=reason)
        say("nightly", f"failed; report: {report}")
    except Exception as another:  # noqa: BLE001
        say("nightly", f"no report of this failed night: {cli.in_one_line(another)}")


def _key(
    config: NightlyConfig, dataset: Dataset, manifest_version: int, first_weights: Sequence[str]
) -> str:
    """An id of all that a night depends on, and of what it leaves: settings, code, tables."""
    made = {"clips": dataset.clips, "features": dataset.features}
    made |= {f"predictions/{table.folder.name}": table for table in dataset.prediction_tables()}
    # A setting that comes later, at its default, leaves a key as it was.
    settings = json.loads(cli.stored(config)) | {"loop": config.loop.identity}
    if not config.init_from:
        del settings["init_from"], settings["init"]
    return schema.content_id(
        settings,
        manifest_version,
        {name: table.version for name, table in made.items()},
        [DECODE_VERSION, AUGMENT_VERSION, LEARNING_VERSION],
        [feature.feature_id for feature in select_features(config.features)],
        runlog.tracking_uri(cli.workspace()),  # another server has none of the runs
        *first_weights,
    )


def _first_weights(config: NightlyConfig) -> list[str]:
    """Digests of the files that models begin with, which may change; a run's weights do not."""
    named = sorted(name for name in config.init_from.values() if name.endswith(WEIGHTS_SUFFIX))
    files = [file for name in named if (file := cli.absolute(name)).exists()]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


def _say_comparison(tested: Mapping[str, runlog.Run]) -> None:
    columns = {
        model: with_intervals({n: v for n, v in test_metrics(run).items() if "/" not in n})
        for model, run in tested.items()
    }
    print("\nOn the test split, in brackets 95 % intervals by source:\n")
    print(f"{side_by_side(columns)}\n")
    for model, run in tested.items():
        print(f"{model}: run {run.run_id}")
    charts = next(iter(tested.values())).charts
    print("\nCompare the runs, their curves and pictures: `make mlflow`, then")
    print(f"http://127.0.0.1:5000/{charts}", flush=True)


if __name__ == "__main__":
    cli.main(nightly, NightlyConfig)
