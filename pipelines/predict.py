"""Apply a trained model to a dataset's videos, labelled or not, extracted before or not."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import pyarrow as pa

from pipelines import cli
from pipelines.extract import one_core, prune
from pipelines.index import roots_of
from pipelines.predict_pictures import NEEDED, Picturing, Shown, with_shown
from videoproc import runlog
from videoproc.augment import make_views
from videoproc.corpus import manifest
from videoproc.features import compute_features
from videoproc.learning.predict import Predictor, answering_id, prediction_id
from videoproc.learning.trained import Trained, TrainedEnsemble, read_trained
from videoproc.media import Accept, Limits, decode_clips
from videoproc.report.progress import Progress, say
from videoproc.report.timing import where_time_went
from videoproc.report.words import plural
from videoproc.runtime import dataflow, metrics, session
from videoproc.runtime.placement import MODEL_MEMORY_BYTES, Placement
from videoproc.tables import Dataset, Table, quarantine, step
from videoproc.tables.intake import Intake
from videoproc.tables.plan import Work, plan_work
from videoproc.tasks import select_task
from videoproc.types import UserError, Video

MAX_PICTURES = 50  # in motion 2000 x 2000 pixels; at 100 the driver took a gigabyte more


@dataclass(frozen=True, kw_only=True)
class PredictConfig:
    """What predict does.

    Args:
        data: the dataset folder; the model's training need not have seen it.
        run: the id of the training run whose best model is applied, or its beginning; a network's
            or a classifier's. Of several, with commas between, the mean of what they tell.
        batch_size: clips that go to the model together; on CPU it takes them in turn.
        accept: material that is taken as it is, or refused.
        pictures: how many of the most, and how many of the least confident predictions of this run
            are shown with frames in predictions.jpg and predictions.mp4 in MLflow: 50 at most, 0
            for none.
        limits: what decoding one video may cost before it is given up.
        max_failed_share: fail the job when more than this share of the videos cannot be decoded.
        max_failed: fail the job when more videos than this cannot; by default any number.
        placement: the nodes of a cluster that decode, and what each task takes there; without GPUs
            the model is in those tasks too.
        model_placement: the nodes with GPUs whose processes hold the model.
        inline: run in this process instead of on Ray, for a debugger.
    """

    data: str
    run: str
    batch_size: int = 32
    accept: Accept = field(default_factory=Accept)
    pictures: int = 8
    limits: Limits = field(default_factory=Limits)
    max_failed_share: float = 0.2
    max_failed: int | None = None
    placement: Placement = field(default_factory=Placement)
    model_placement: Placement = field(default_factory=Placement)
    inline: bool = False

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise ValueError(f"batch_size is {self.batch_size}: use 1 or more")
        if not 0 <= self.pictures <= MAX_PICTURES:
            raise ValueError(
                f"pictures is {self.pictures}: use 0 for none, or up to {MAX_PICTURES}"
            )
        cli.check_share(self.max_failed_share, setting="max_failed_share")


@dataclass(frozen=True, kw_only=True)
class Applied:
    """What answers. runs: the ids of its runs, in order. run_id: what predictions name."""

    runs: Sequence[str]
    trained: Trained

    @property
    def run_id(self) -> str:
        return answering_id(self.runs)

    @property
    def names(self) -> str:
        return ",".join(self.runs)


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """What a run of predict did; times as in `Extracted`."""

    predictions: int = 0
    seconds: Mapping[str, float] = field(default_factory=dict)
    idle_s: float = 0.0
    cores: int = 0


def predict(config: PredictConfig) -> Predicted:
    """Apply a trained model to a dataset's videos, labelled or not, extracted before or not."""
    started = time.monotonic()
    dataset = Dataset(folder=cli.absolute(config.data))
    workspace = cli.workspace()
    applied = _read(config.run, workspace)
    config, trained = replace(config, run=applied.names), applied.trained
    columns = select_task(trained.task).outputs.COLUMNS
    table = dataset.predictions(task=trained.task, columns=columns)
    version = dataset.manifest.version
    videos = [v for v in manifest.from_table(dataset.require_manifest()) if v.error is None]
    work = _plan(videos, dataset, table, applied)
    if held := work.held.total():
        say("predict", f"{plural(held, 'video')} in quarantine, left alone")
    if not work.videos and not work.done:
        say(
            "predict",
            f"nothing to do: {table.folder} holds every other clip's prediction already"
            if held
            else f"nothing to do: {table.folder} holds every clip's prediction already",
        )
        _check_budget(work.held, videos, dataset, config, Predicted())
        return Predicted()
    intake = Intake(
        tables={"predictions": table},
        dataset=dataset,
        recipe_id=trained.make_recipe().recipe_id,
    )
    with runlog.job_run(
        "predict", data=dataset.folder, workspace=workspace, config=asdict(config)
    ) as run:
        if len(applied.runs) > 1:  # before anything is committed under the id
            run.set_tags({runlog.ENSEMBLE: applied.run_id, runlog.MEMBERS: applied.names})
            of_rows = f"with run_id {applied.run_id} in {table.folder}"
            say("predict", f"{applied.names} together, {of_rows}")
        with session.cluster(inline=config.inline):
            count = one_core if config.inline else partial(_cores, config, trained)
            clock = session.CoreTime(count)
            shown = _apply(work, dataset, table, applied, config, intake, clock, run.run_id)
            clock.note(least_s=0)
        if dataset.manifest.version != version:  # what has left the corpus meanwhile came in again
            prune(dataset, job="predict")
        done = Predicted(
            predictions=intake.committed["predictions"],
            seconds=dict(intake.seconds),
            idle_s=max(0.0, clock.core_s - sum(intake.seconds.values())),
            cores=clock.cores,
        )
        elapsed_s = time.monotonic() - started
        run.set_tags({f"table_version.predictions/{trained.task}": table.version})
        run.log_metrics(
            {
                "predictions": done.predictions,
                "videos_failed": intake.failures.total(),
                "elapsed_s": elapsed_s,
                "seconds/idle": done.idle_s,
            }
            | {f"seconds/{name}": value for name, value in done.seconds.items()}
        )
        say(
            "predict",
            f"{done.predictions} predictions in {elapsed_s:.1f} s in {table.folder}; "
            f"{plural(intake.failures.total(), 'video')} put into quarantine",
        )
        say(
            "predict",
            f"worker time: {where_time_went(done.seconds)}; idle {done.idle_s:.1f} core s",
        )
        shown.log(run, uris={video.video_id: video.uri for video in videos})
        _check_budget(intake.failures + work.held, videos, dataset, config, done)
    return done


def _read(text: str, workspace: Path) -> Applied:
    """The run that `text` names, or several with commas between."""
    given: dict[str, str] = {}
    folders: dict[str, Path] = {}
    for prefix in (part.strip() for part in text.split(",")):
        run = runlog.resolve_run(prefix, workspace=workspace)
        if run.run_id in given:
            raise UserError(
                f"runs {given[run.run_id]!r} and {prefix!r} are the same, {run.run_id}, which "
                "would count twice: give it once"
            )
        given[run.run_id] = prefix
        folders[run.run_id] = run.checkpoint_folder(workspace)
    # In one order, whatever the order given, so that sums of them are the same to the last bit.
    members = {run_id: read_trained(folders[run_id]) for run_id in sorted(folders)}
    if len(members) == 1:
        return Applied(runs=[*members], trained=next(iter(members.values())))
    return Applied(runs=[*members], trained=TrainedEnsemble(members=members))


def _check_budget(
    reasons: Counter[str],
    videos: Sequence[Video],
    dataset: Dataset,
    config: PredictConfig,
    done: Predicted,
) -> None:
    cli.check_budget(
        reasons,
        len(videos),
        max_share=config.max_failed_share,
        max_count=config.max_failed,
        where=str(dataset.quarantine.folder),
        done=done,
    )


def _plan(videos: Sequence[Video], dataset: Dataset, table: Table, applied: Applied) -> Work:
    """Stored clips are read, others decoded; what has a prediction of this run is left out."""
    recipe, done, run_id = applied.trained.make_recipe(), table.keys(), applied.run_id
    # Features are of frames as they were decoded, and lossy storage does not give those back.
    is_readable = not (applied.trained.features and recipe.frames.is_lossy)
    open_videos = [
        video
        for video in videos
        if any(
            prediction_id(run_id, clip.clip_id) not in done
            for clip in recipe.clips_of(video, all_views=False)
        )
    ]
    return plan_work(
        videos=open_videos,
        recipe=recipe,
        features=[],
        clip_keys=dataset.clips.keys() if is_readable else set(),
        feature_keys=set(),
        held=quarantine.held(dataset.quarantine),
        all_views=False,
    )


def _apply(
    work: Work,
    dataset: Dataset,
    table: Table,
    applied: Applied,
    config: PredictConfig,
    intake: Intake,
    clock: session.CoreTime,
    job: str,
) -> Shown:
    trained = applied.trained
    recipe = trained.make_recipe()
    shown = Shown(count=config.pictures)
    # The checkpoint is on this machine's disk, workers are elsewhere.
    shared = dataflow.share(trained, inline=config.inline)
    predictor: Callable[[], dataflow.BatchStep] = partial(Predictor, shared, run_id=applied.run_id)
    is_pictured = config.pictures > 0 and set(table.schema.names) >= NEEDED
    is_on_gpu = trained.takes_gpu and not config.inline
    num_gpus = min(1, session.num_gpus(config.model_placement)) if is_on_gpu else 0
    on_cpu_bytes = trained.batch_bytes(config.batch_size)
    model = dataflow.ModelStage(
        make=partial(Picturing, predictor, count=config.pictures, job=job)
        if is_pictured
        else predictor,
        batch_size=config.batch_size,
        num_gpus=num_gpus,
        placement=config.model_placement,
        memory_bytes=MODEL_MEMORY_BYTES + (0 if num_gpus else on_cpu_bytes),
    )
    sink = step.write_shards(
        outputs=[step.output("predictions", table, partial(_select, columns=table.schema))]
    )
    decode = [
        dataflow.Named(
            "decode",
            decode_clips(
                sampling=recipe.sampling,
                size=recipe.size,
                limits=config.limits,
                accept=config.accept,
                roots=roots_of(dataset),
            ),
        ),
        dataflow.Named("augment", make_views(augmentation=recipe.augmentation)),
    ]
    read = [dataflow.Named("read", step.read_stored_clips())]
    if trained.features:
        measure = dataflow.Named("features", compute_features(features=trained.features))
        decode, read = [*decode, measure], [*read, measure]
    if trained.takes_frames:
        decode.append(dataflow.Named("encode", step.as_stored(frame_format=recipe.frames)))
    progress = Progress(job="predict", unit="clips", total=len(work.done) + work.num_clips)
    parts = [(step.stored_rows(dataset.clips, work.done), read)]
    for rows, steps in itertools.chain(parts, ((rows, decode) for rows in work.windows())):
        receipts = dataflow.run(
            rows,
            steps=steps,
            model=model,
            sink=with_shown(sink) if is_pictured else sink,
            placement=config.placement,
            say=partial(say, "predict"),
            inline=config.inline,
        )
        receipts = metrics.watch(receipts, pipeline="predict")
        for _ in intake.take(shown.watch(receipts) if is_pictured else receipts):
            clock.note()
            progress.advance_to(intake.num_rows)
    progress.close()
    return shown


def _cores(config: PredictConfig, trained: Trained) -> int:
    """Those that decode, and one a GPU of the nodes that have the model alone."""
    others = session.nodes(config.model_placement) if trained.takes_gpu else []
    return session.cores_now(config.placement) + sum(
        node.gpus for node in others if not config.placement.admits(node.labels)
    )


def _select(good: pa.Table, *, columns: pa.Schema) -> pa.Table:
    return good.select(columns.names).cast(columns)


if __name__ == "__main__":
    cli.main(predict, PredictConfig)
