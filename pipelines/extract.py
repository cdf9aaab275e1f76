"""Decode, sample, scale, augment and measure a dataset's videos into clips and features."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pipelines import cli
from pipelines.index import label_rule, roots_of
from videoproc import runlog
from videoproc.augment import Augmentation, make_views
from videoproc.corpus import manifest
from videoproc.features import Feature, compute_features, select_features
from videoproc.media import Accept, Limits, Sampling, Size, decode_clips
from videoproc.report.progress import Progress, say
from videoproc.report.timing import where_time_went
from videoproc.report.words import data_size, plural
from videoproc.roots import Roots
from videoproc.runtime.placement import Placement
from videoproc.tables import Dataset, FrameFormat, Recipe, Table, quarantine, step
from videoproc.tables.intake import Intake
from videoproc.tables.plan import STAGE, Work, plan_work
from videoproc.types import Row, UserError, Video

if TYPE_CHECKING:
    from videoproc.runtime.dataflow import BatchStep
    from videoproc.runtime.session import CoreTime

SHOWN = 5  # failures that are named

SETTINGS = "extract.json"
"""In the dataset: how its clips and features were last made."""

TEARING = ("speed", "shift", "drop")
"""Augmentations after which the frames of a burst no longer follow each other."""


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """What extract does.

    Args:
        data: the dataset folder.
        sampling: which frames of a video make a clip.
        size: the size that frames are scaled to, in pixels.
        augmentation: how augmented views are drawn; by default there are none.
        frames: how the frames of clips are stored.
        features: the features to compute, by name.
        accept: material that is taken as it is, or refused.
        limits: what decoding one video may cost before it is given up.
        retry_quarantined: try the videos again that failed to decode before.
        max_failed_share: fail the job when more than this share of the corpus has no clips.
        max_failed: fail the job when more videos than this have no clips; by default any number.
        commit_every_s: seconds between commits; what a kill can cost.
        placement: the nodes of a cluster that decode, and what each task takes there.
        inline: run in this process instead of on Ray, for a debugger.
    """

    data: str
    sampling: Sampling = field(default_factory=Sampling)
    size: Size = field(default_factory=Size)
    augmentation: Augmentation = field(default_factory=Augmentation)
    frames: FrameFormat = field(default_factory=FrameFormat)
    features: tuple[str, ...] = ("colour", "motion")
    accept: Accept = field(default_factory=Accept)
    limits: Limits = field(default_factory=Limits)
    retry_quarantined: bool = False
    max_failed_share: float = 0.2
    max_failed: int | None = None
    commit_every_s: float = 5.0
    placement: Placement = field(default_factory=Placement)
    inline: bool = False

    def __post_init__(self) -> None:
        cli.check_share(self.max_failed_share, setting="max_failed_share")
        if not self.commit_every_s >= 0:
            raise ValueError(f"commit_every_s is {self.commit_every_s}: use seconds, 0 or more")
        torn = [name for name in TEARING if name in self.augmentation.used]
        if torn and self.sampling.burst_frames > 1:
            raise ValueError(
                f"sampling.burst_frames is {self.sampling.burst_frames}, and augmentation "
                f"{torn[0]!r} tears consecutive frames apart: use one of the two"
            )


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What a run of extract did.

    clips_measured: clips that were in and lacked a feature. rows_deleted: by table, of videos that
    are gone. failures: what went into quarantine. bytes_fetched: of remote videos. seconds: worker
    time by step. busy_s: wall time for which there was work for the cores, idle_s: core time that
    they waited in it. cores: as many as there were on average.
    """

    videos_decoded: int
    hours_decoded: float
    clips_measured: int
    rows_deleted: Mapping[str, int]
    clips: int
    vectors: int
    failures: Sequence[Row]
    bytes_fetched: int
    seconds: Mapping[str, float]
    busy_s: float
    idle_s: float
    cores: int
    elapsed_s: float


def extract(config: ExtractConfig) -> Extracted:
    """Decode, sample, scale, augment and measure a dataset's videos into clips and features."""
    started = time.monotonic()
    dataset = Dataset(folder=cli.absolute(config.data))
    features = select_features(config.features)
    recipe = Recipe(
        sampling=config.sampling,
        size=config.size,
        augmentation=config.augmentation,
        frames=config.frames,
    )
    version = dataset.manifest.version
    videos = manifest.from_table(dataset.require_manifest())
    label_rule(dataset).check(config.augmentation.used, dataset=dataset.folder)
    if config.augmentation.views == 1 and config.augmentation.identity:
        named = ", ".join(config.augmentation.identity)
        say("extract", f"augmentation.views is 1: no view is made, and {named} of it does nothing")
    if config.retry_quarantined:
        held = quarantine.choose(dataset.quarantine, stage=STAGE)
        quarantine.mark_for_retry(dataset.quarantine, [row["quarantine_id"] for row in held])
    dataset.set_recipe(recipe)
    dataset.write_text(SETTINGS, cli.stored(replace(config, data=str(dataset.folder))))
    with runlog.job_run(
        "extract", data=dataset.folder, workspace=cli.workspace(), config=asdict(config)
    ) as run:
        deleted = prune(dataset, job="extract")
        work = plan_work(
            videos=[video for video in videos if video.error is None],
            recipe=recipe,
            features=features,
            clip_keys=dataset.clips.keys(),
            feature_keys=dataset.features.keys(),
            held=_held(dataset, config.accept),
        )
        _say_refused(videos, config.accept)
        _say_plan(work)
        intake = Intake(
            tables={"clips": dataset.clips, "features": dataset.features},
            dataset=dataset,
            recipe_id=recipe.recipe_id,
            commit_every_s=config.commit_every_s,
        )
        spent = Spent()

        def so_far() -> Extracted:
            return Extracted(
                videos_decoded=len(work.videos),
                hours_decoded=sum(video.duration_s or 0.0 for video in work.videos) / 3600,
                clips_measured=len(work.measure),
                rows_deleted=deleted,
                clips=intake.committed["clips"],
                vectors=intake.committed["features"],
                failures=intake.failed_rows,
                bytes_fetched=intake.bytes_fetched,
                seconds=dict(intake.seconds),
                busy_s=spent.busy_s,
                idle_s=max(0.0, spent.core_s - sum(intake.seconds.values())),
                cores=spent.cores,
                elapsed_s=time.monotonic() - started,
            )

        try:
            _work(work, dataset, features, config, intake, spent)
        except BaseException as error:
            # For the night's report: what is in, though how many videos that took is not known.
            error.done = replace(so_far(), videos_decoded=0, hours_decoded=0.0)  # type: ignore[attr-defined]
            raise
        if dataset.manifest.version != version:  # what has left the corpus meanwhile came in again
            prune(dataset, job="extract")
        _tidy(dataset, videos, recipe)
        done = so_far()
        run.set_tags(
            {f"table_version.{name}": table.version for name, table in _made(dataset).items()}
        )
        run.log_metrics(_metrics(done))
        _say_summary(work, intake, done)
        unreadable = Counter(str(v.error).partition(":")[0] for v in videos if v.error is not None)
        cli.check_budget(
            unreadable + intake.failures + work.held,
            len(videos),
            max_share=config.max_failed_share,
            max_count=config.max_failed,
            where=str(dataset.quarantine.folder),
            done=done,
        )
    return done


def stored_config(dataset: Dataset) -> ExtractConfig:
    """How the dataset's clips were last made; nothing is retried beyond what is marked."""
    text = dataset.read_text(SETTINGS)
    if text is None:
        raise UserError(f"dataset {dataset.folder} has no {SETTINGS}: run pipelines.extract first")
    return replace(cli.restored(ExtractConfig, text), retry_quarantined=False)


def _held(dataset: Dataset, accept: Accept) -> dict[str, str]:
    """What quarantine holds back; not what was refused for want of a setting that is given now."""
    taken = {"OutsideRoots"}  # which another setting lets in, and a look costs nothing
    if accept.truncated:
        taken.add("Truncated")
    if accept.hdr and accept.interlaced:
        taken.add("Refused")
    held = quarantine.held(dataset.quarantine)
    return {row_id: reason for row_id, reason in held.items() if reason not in taken}


def _say_refused(videos: Sequence[Video], accept: Accept) -> None:
    refused = {name for name in ("hdr", "interlaced", "truncated") if not getattr(accept, name)}
    flags = Counter(flag for video in videos for flag in video.flags if flag in refused)
    for name, count in sorted(flags.items()):
        say(
            "extract",
            f"{plural(count, 'video')} of the corpus {'is' if count == 1 else 'are'} {name}, which "
            f"accept.{name} refuses; clips that were made before stay",
        )


def prune(dataset: Dataset, *, job: str) -> dict[str, int]:
    """Rows of videos that are no longer in the corpus go; how many, by table."""
    num_videos, deleted = dataset.prune()
    if num_videos:
        said = ", ".join(f"{plural(count, 'row')} of {name}" for name, count in deleted.items())
        say(job, f"{plural(num_videos, 'video')} no longer in the corpus: deleted {said}")
    return deleted


@dataclass
class Spent:
    """What a cluster gave: wall time, core time, and the cores on average."""

    busy_s: float = 0.0
    core_s: float = 0.0
    cores: int = field(default_factory=cli.cores_here)


def _work(
    work: Work,
    dataset: Dataset,
    features: Sequence[Feature],
    config: ExtractConfig,
    intake: Intake,
    spent: Spent,
) -> None:
    """Do what is to be done; `spent` is filled in, also where that fails."""
    if work.is_empty:
        return
    from videoproc.runtime import session  # seconds of importing, which an empty night saves

    with session.cluster(inline=config.inline):
        count = one_core if config.inline else partial(session.cores_now, config.placement)
        clock = session.CoreTime(count)
        try:
            _decode(work, dataset, features, config, intake, clock)
            _measure(work, dataset, features, config, intake, clock)
            clock.note(least_s=0)
        finally:
            spent.busy_s, spent.core_s, spent.cores = clock.elapsed_s, clock.core_s, clock.cores


def one_core() -> int:
    """What a job inline has."""
    return 1


def _tidy(dataset: Dataset, videos: Sequence[Video], recipe: Recipe) -> None:
    """Quarantine lets go of what has succeeded, and small shards are joined."""
    failed = quarantine.choose(dataset.quarantine, stage=STAGE)
    if failed:
        known, clips = {video.video_id: video for video in videos}, dataset.clips.keys()
        quarantine.release(
            dataset.quarantine,
            [
                row["quarantine_id"]
                for row in failed
                if (video := known.get(row["video_id"])) is not None
                and video.error is None
                and all(clip.clip_id in clips for clip in recipe.clips_of(video))
            ],
        )
    for table in _made(dataset).values():
        table.compact()


def _made(dataset: Dataset) -> dict[str, Table]:
    return {"clips": dataset.clips, "features": dataset.features}


def _metrics(done: Extracted) -> dict[str, float]:
    return {
        "clips": done.clips,
        "vectors": done.vectors,
        "videos_failed": len(done.failures),
        "videos_decoded": done.videos_decoded,
        "elapsed_s": done.elapsed_s,
        "bytes_fetched": done.bytes_fetched,
        "seconds/idle": done.idle_s,
    } | {f"seconds/{name}": value for name, value in done.seconds.items()}


def _decode(
    work: Work,
    dataset: Dataset,
    features: Sequence[Feature],
    config: ExtractConfig,
    intake: Intake,
    clock: CoreTime,
) -> None:
    select_clips = step.select_clips(work.recipe.recipe_id, frame_format=work.recipe.frames)
    sink = step.write_shards(
        outputs=[
            step.output("clips", dataset.clips, select_clips),
            step.output("features", dataset.features, step.select_features),
        ]
    )
    steps = [*_decoding(work.recipe, config, roots_of(dataset)), _measuring(features)]
    progress = Progress(job="extract", unit="clips", total=work.num_clips)
    for rows in work.windows():
        _take(_run(rows, steps, sink, config), intake, progress, clock)
    progress.close()


def _measure(
    work: Work,
    dataset: Dataset,
    features: Sequence[Feature],
    config: ExtractConfig,
    intake: Intake,
    clock: CoreTime,
) -> None:
    """Features of clips that are in: from stored frames, or decoded anew where those have lost."""
    from videoproc.runtime.dataflow import Named

    sink = step.write_shards(
        outputs=[step.output("features", dataset.features, step.select_features)]
    )
    parts: Iterable[list[Row]]
    if work.recipe.frames.is_lossy:
        parts, source = (
            work.windows_to_measure(),
            _decoding(work.recipe, config, roots_of(dataset)),
        )
    else:
        parts = [step.stored_rows(dataset.clips, work.measure)]
        source = [Named("read", step.read_stored_clips())]
    steps = [*source, _measuring(features)]
    progress = Progress(job="extract", unit="stored clips", total=len(work.measure))
    for rows in parts:
        _take(_run(rows, steps, sink, config), intake, progress, clock)
    progress.close()


# These give `dataflow.Named`s: even to name that type would import Ray.
def _decoding(recipe: Recipe, config: ExtractConfig, roots: Roots | None) -> list[Any]:
    from videoproc.runtime.dataflow import Named

    decode = decode_clips(
        sampling=recipe.sampling,
        size=recipe.size,
        limits=config.limits,
        accept=config.accept,
        roots=roots,
    )
    return [
        Named("decode", decode),
        Named("augment", make_views(augmentation=recipe.augmentation)),
    ]


def _measuring(features: Sequence[Feature]) -> Any:
    from videoproc.runtime.dataflow import Named

    return Named("features", compute_features(features=features))


def _run(
    rows: Sequence[Row], steps: Sequence[Any], sink: BatchStep, config: ExtractConfig
) -> Iterator[Row]:
    from videoproc.runtime import dataflow, metrics

    receipts = dataflow.run(
        rows,
        steps=steps,
        sink=sink,
        placement=config.placement,
        say=partial(say, "extract"),
        inline=config.inline,
    )
    return metrics.watch(receipts, pipeline="extract")


def _take(receipts: Iterable[Row], intake: Intake, progress: Progress, clock: CoreTime) -> None:
    before = intake.num_rows - progress.done
    for _ in intake.take(receipts):
        clock.note()
        progress.advance_to(intake.num_rows - before)


def _say_plan(work: Work) -> None:
    if held := work.held.total():
        say(
            "extract",
            f"{plural(held, 'video')} in quarantine, left alone "
            "(`python -m pipelines.retry_quarantine` tries them again)",
        )
    if not work.videos:
        say("extract", f"nothing to decode: all {len(work.done)} clips are in already")
    elif work.done:
        say(
            "extract",
            f"{len(work.done)} clips are in already, {plural(len(work.videos), 'video')} to decode",
        )
    if others := len(work.clip_keys) - len(work.done):
        say(
            "extract",
            f"{plural(others, 'clip')} of other settings {'is' if others == 1 else 'are'} in the "
            "table too and stay, told apart by recipe_id and view",
        )
    if work.measure:
        say("extract", f"{len(work.measure)} stored clips lack a feature")


def _say_summary(work: Work, intake: Intake, done: Extracted) -> None:
    if work.is_empty:
        return
    say(
        "extract",
        f"{done.clips} clips and {done.vectors} vectors in {done.elapsed_s:.1f} s; "
        f"{plural(len(done.failures), 'video')} put into quarantine",
    )
    for error_class, count in intake.failures.most_common():
        say("extract", f"quarantine: {count} x {error_class}")
    for row in done.failures[:SHOWN]:
        why = str(row["message"]).splitlines()[0] if row["message"] else ""
        say("extract", f"quarantine: {row['uri']}: {row['error_class']}: {why}")
    if (more := len(done.failures) - SHOWN) > 0:
        say("extract", f"quarantine: and {more} more, in the table `quarantine`")
    if done.bytes_fetched:
        whole = sum(video.size_bytes for video in work.videos)
        say("extract", f"fetched {data_size(done.bytes_fetched)} of {data_size(whole)} of video")
    say("extract", f"worker time: {where_time_went(done.seconds)}; idle {done.idle_s:.1f} core s")


if __name__ == "__main__":
    cli.main(extract, ExtractConfig)
