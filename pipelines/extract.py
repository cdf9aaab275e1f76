"""Decode, sample, scale, augment and measure a dataset's videos into clips and features."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from pipelines import cli
from videoproc import runlog
from videoproc.augment import Augmentation, make_views
from videoproc.corpus import manifest
from videoproc.features import Feature, compute_features, select_features
from videoproc.media import Limits, Sampling, Size, decode_clips
from videoproc.report.progress import Progress, say
from videoproc.report.timing import where_time_went
from videoproc.runtime import dataflow, session
from videoproc.tables import Dataset, Recipe, step
from videoproc.tables.intake import Intake
from videoproc.tables.plan import Work, plan_work
from videoproc.tables.quarantine import release
from videoproc.types import Row


@dataclass(frozen=True, kw_only=True)
class ExtractConfig:
    """What extract does.

    Args:
        data: the dataset folder.
        sampling: which frames of a video make a clip.
        size: the size that frames are scaled to, in pixels.
        augmentation: how augmented views are drawn; by default there are none.
        features: the features to compute, by name.
        limits: what decoding one video may cost before it is given up.
        retry_quarantined: try the videos again that failed to decode before.
        max_failed_share: fail the job when more than this share of the corpus has no clips.
        commit_every_s: seconds between commits; what a kill can cost.
        inline: run in this process instead of on Ray, for a debugger.
    """

    data: str
    sampling: Sampling = field(default_factory=Sampling)
    size: Size = field(default_factory=Size)
    augmentation: Augmentation = field(default_factory=Augmentation)
    features: tuple[str, ...] = ("colour", "motion")
    limits: Limits = field(default_factory=Limits)
    retry_quarantined: bool = False
    max_failed_share: float = 0.2
    commit_every_s: float = 5.0
    inline: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.max_failed_share <= 1:
            raise ValueError(
                f"max_failed_share is {self.max_failed_share}: use a share from 0 to 1"
            )
        if not self.commit_every_s >= 0:
            raise ValueError(f"commit_every_s is {self.commit_every_s}: use seconds, 0 or more")


def extract(config: ExtractConfig) -> None:
    """Decode, sample, scale, augment and measure a dataset's videos into clips and features."""
    started = time.monotonic()
    dataset = Dataset(folder=cli.absolute(config.data))
    features = select_features(config.features)
    recipe = Recipe(sampling=config.sampling, size=config.size, augmentation=config.augmentation)
    videos = manifest.from_table(dataset.require_manifest())
    if config.retry_quarantined:
        release(dataset.quarantine, stage="decode", recipe_ids=[recipe.recipe_id])
    dataset.set_recipe(recipe)
    work = plan_work(
        videos=[video for video in videos if video.error is None],
        recipe=recipe,
        features=features,
        clip_keys=dataset.clips.keys(),
        feature_keys=dataset.features.keys(),
        quarantine_keys=dataset.quarantine.keys(),
    )
    _say_plan(work)
    intake = Intake(
        tables={"clips": dataset.clips, "features": dataset.features},
        quarantine=dataset.quarantine,
        recipe_id=recipe.recipe_id,
        commit_every_s=config.commit_every_s,
    )
    with runlog.job_run(
        "extract", data=dataset.folder, workspace=cli.workspace(), config=asdict(config)
    ) as run:
        if work.decode or work.measure:
            with session.cluster(inline=config.inline):
                _decode(work, dataset, recipe, features, config, intake)
                _measure(work, dataset, features, config, intake)
        elapsed_s = time.monotonic() - started
        run.log_metrics(
            {
                "clips": intake.committed["clips"],
                "vectors": intake.committed["features"],
                "videos_failed": intake.failures.total(),
                "videos_decoded": len(work.decode),
                "elapsed_s": elapsed_s,
            }
            | {f"seconds/{name}": value for name, value in intake.seconds.items()}
        )
        _say_summary(work, intake, elapsed_s)
    failed = intake.failures.total() + work.quarantined + sum(v.error is not None for v in videos)
    _check_budget(failed, len(videos), config.max_failed_share, dataset)


def _decode(
    work: Work,
    dataset: Dataset,
    recipe: Recipe,
    features: Sequence[Feature],
    config: ExtractConfig,
    intake: Intake,
) -> None:
    receipts = dataflow.run(
        work.decode,
        steps=[
            dataflow.Named(
                "decode",
                decode_clips(sampling=config.sampling, size=config.size, limits=config.limits),
            ),
            dataflow.Named("augment", make_views(augmentation=config.augmentation)),
            dataflow.Named("features", compute_features(features=features)),
        ],
        sink=step.write_shards(
            outputs=[
                step.output("clips", dataset.clips, step.select_clips(recipe.recipe_id)),
                step.output("features", dataset.features, step.select_features),
            ]
        ),
        inline=config.inline,
    )
    total = sum(len(row["wanted"]) for row in work.decode)
    _take(receipts, intake, total=total, unit="clips")


def _measure(
    work: Work, dataset: Dataset, features: Sequence[Feature], config: ExtractConfig, intake: Intake
) -> None:
    receipts = dataflow.run(
        step.stored_rows(dataset.clips, work.measure),
        steps=[
            dataflow.Named("read", step.read_stored_clips()),
            dataflow.Named("features", compute_features(features=features)),
        ],
        sink=step.write_shards(
            outputs=[step.output("features", dataset.features, step.select_features)]
        ),
        inline=config.inline,
    )
    _take(receipts, intake, total=len(work.measure), unit="stored clips")


def _take(receipts: Iterable[Row], intake: Intake, *, total: int, unit: str) -> None:
    progress = Progress(job="extract", unit=unit, total=total)
    before = intake.num_rows
    for _ in intake.take(receipts):
        progress.advance_to(intake.num_rows - before)
    progress.close()


def _say_plan(work: Work) -> None:
    if work.quarantined:
        say(
            "extract",
            f"{work.quarantined} videos are in quarantine and left alone "
            "(--retry_quarantined true tries them again)",
        )
    if not work.decode:
        say("extract", f"nothing to decode: all {len(work.done)} clips are in already")
    elif work.done:
        say(
            "extract", f"{len(work.done)} clips are in already, {len(work.decode)} videos to decode"
        )
    if work.measure:
        say("extract", f"{len(work.measure)} stored clips lack a feature")


def _say_summary(work: Work, intake: Intake, elapsed_s: float) -> None:
    if not work.decode and not work.measure:
        return
    say(
        "extract",
        f"{intake.committed['clips']} clips and {intake.committed['features']} vectors in "
        f"{elapsed_s:.1f} s; {intake.failures.total()} videos went into quarantine",
    )
    for error_class, count in intake.failures.most_common():
        say("extract", f"quarantine: {count} x {error_class}")
    say("extract", f"worker time: {where_time_went(intake.seconds)}")


def _check_budget(failed: int, total: int, max_failed_share: float, dataset: Dataset) -> None:
    if total and failed / total > max_failed_share:
        raise cli.JobError(
            f"{failed} of {total} videos have no clips, more than max_failed_share "
            f"{max_failed_share}: see the reasons in {dataset.quarantine.folder}"
        )


if __name__ == "__main__":
    cli.main(extract, ExtractConfig)
