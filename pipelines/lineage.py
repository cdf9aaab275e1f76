"""From a video to all that was made of it: table versions, runs that used it, predictions."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass

from pipelines import cli
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.report.progress import say
from videoproc.runlog import Use
from videoproc.tables import Dataset
from videoproc.tables.lineage import Trace, as_ranges, predicted_by, traces
from videoproc.types import UserError, Video


@dataclass(frozen=True)
class LineageConfig:
    """What lineage does.

    Args:
        video: the uri of a video, the end of it, or the beginning of its digest.
        data: the dataset folder.
    """

    video: str
    _: KW_ONLY
    data: str


@dataclass(frozen=True, kw_only=True)
class Lineage:
    """traces: by table. uses: runs, the newest first. predicted: runs whose predictions stand in
    the tables now, by table. members: the runs behind each of these that stands for several."""

    video: Video
    traces: Mapping[str, Trace]
    uses: Sequence[Use]
    predicted: Mapping[str, set[str]]
    members: Mapping[str, Sequence[str]]


def lineage(config: LineageConfig) -> Lineage:
    """From a video to all that was made of it: table versions, runs that used it, predictions."""
    dataset = Dataset(folder=cli.absolute(config.data))
    try:
        video = find_video(dataset, config.video)
    except manifest.NoSuchVideoError as error:
        raise _as_forgotten(dataset, config.video) or error from error
    check_runs(dataset, remedy="so that those that used the video are found")
    found = trace_video(dataset, video)
    labels = ", ".join(video.labels) or "unlabelled"
    group = f", group {video.group}" if video.group is not None else ""
    split = f", split {video.split}" if video.split is not None else ""
    say("lineage", f"{video.uri}: {labels}{group}{split}")
    say("lineage", f"video {video.video_id}")
    for name, trace in found.traces.items():
        say("lineage", f"{name}: {_in_table(trace)}")
    say_uses(found.uses, job="lineage")
    for name, runs in found.predicted.items():
        by = [_with_members(run_id, found.members) for run_id in sorted(runs)]
        say("lineage", f"{name}: predicted by {', '.join(by)}")
    return found


def find_video(dataset: Dataset, text: str) -> Video:
    """The one video that `text` names, also one that only older versions of the manifest have."""
    try:
        return manifest.find(manifest.from_table(dataset.require_manifest()), text)
    except manifest.NoSuchVideoError:
        for rows in dataset.manifest.ever():
            with contextlib.suppress(manifest.NoSuchVideoError):
                return manifest.find(manifest.from_table(rows), text)
        raise


def _as_forgotten(dataset: Dataset, text: str) -> UserError | None:
    """What is still known of a video that was forgotten and purged, if `text` begins its digest."""
    for row in dataset.forgotten.read().to_pylist():
        if len(text) >= manifest.MIN_DIGEST_CHARS and row["digest"].startswith(text):
            uses = runlog.uses_of(
                data=dataset.folder, workspace=cli.workspace(), video_id=row["video_id"]
            )
            learned = ", ".join(use.run_id for use in uses if use.has_learned) or "no run"
            return UserError(
                f"video {row['video_id']} was forgotten at {row['time']}, and no table version "
                f"that still reads has it; learned from by {learned}"
            )
    return None


def check_runs(dataset: Dataset, *, remedy: str, needed: bool = True) -> None:
    """UserError where MLflow knows no run of a dataset: it is likely to be another's MLflow."""
    place = cli.workspace()
    if needed and not runlog.knows(dataset.folder, workspace=place):
        raise UserError(
            f"MLflow at {runlog.shown_uri(place)} knows no run of {dataset.folder}: set "
            f"VIDEOPROC_WORKSPACE or MLFLOW_TRACKING_URI as for its nights, {remedy}"
        )


def trace_video(dataset: Dataset, video: Video) -> Lineage:
    """Look a video up in every table and every run of its dataset."""
    found = traces(dataset, video_id=video.video_id, digest=video.digest)
    uses = runlog.uses_of(
        data=dataset.folder,
        workspace=cli.workspace(),
        video_id=video.video_id,
        group=video.group,
        versions={name: trace.versions for name, trace in found.items()},
    )
    return Lineage(
        video=video,
        traces=found,
        uses=uses,
        predicted=predicted_by(dataset, video.video_id),
        members=runlog.members_of(dataset.folder, cli.workspace()),
    )


def say_uses(uses: Sequence[Use], *, job: str) -> None:
    """The runs, by what they did with the video."""
    for use in uses:
        say(job, f"run {use.run_id} ({use.job} {use.name}) {use.said}")
    if not uses:
        say(job, "no run has used it")


def _with_members(run_id: str, members: Mapping[str, Sequence[str]]) -> str:
    if run_id not in members:
        return run_id
    return f"{run_id} ({' and '.join(members[run_id])} together)"


def _in_table(trace: Trace) -> str:
    rows = f"{trace.rows} row{'' if trace.rows == 1 else 's'} now"
    if not trace.versions:
        return rows + ", in no version"
    gone = f"; no longer readable: {as_ranges(trace.unreadable)}" if trace.unreadable else ""
    return f"{rows}, in versions {as_ranges(trace.versions)}, {len(trace.files)} files{gone}"


if __name__ == "__main__":
    cli.main(lineage, LineageConfig)
