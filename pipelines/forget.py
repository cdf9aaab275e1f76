"""Remove a video from every table for good, and say which models have seen it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipelines import cli
from pipelines.lineage import Lineage, check_runs, find_video, say_uses, trace_video
from pipelines.predict_pictures import clear
from videoproc import runlog
from videoproc.masking import masked
from videoproc.report import night as nights
from videoproc.report import page
from videoproc.report.night import Night
from videoproc.report.progress import say
from videoproc.report.words import plural
from videoproc.tables import Dataset, Table, lease
from videoproc.tables.lease import HeldError
from videoproc.tables.lineage import as_ranges
from videoproc.types import UserError, Video


@dataclass(frozen=True)
class ForgetConfig:
    """What forget does.

    The video's rows leave every table, its pictures leave the reports of the nights, and its
    digest is kept so that it never comes back, under whatever name. Older versions of the tables
    hold it until their files are deleted: now with `purge`, or by a later `pipelines.vacuum`.

    Args:
        video: the uri of a video, the end of it, or the beginning of its digest.
        data: the dataset folder.
        purge: delete the files of older versions that hold it too; versions that named such a file
            are no longer readable.
        wait_s: how long to wait where a night works on this dataset, before giving up.
    """

    video: str
    _: KW_ONLY
    data: str
    purge: bool = False
    wait_s: float = 0.0


def forget(config: ForgetConfig) -> Lineage:
    """Remove a video from every table for good, and say which models have seen it."""
    dataset = Dataset(folder=cli.absolute(config.data))
    video = find_video(dataset, config.video)
    try:
        with lease.hold(
            dataset.lease,
            job="forget",
            wait_s=config.wait_s,
            on_wait=lambda text: say("forget", text),
        ):
            return _forget(dataset, video, purge=config.purge)
    except HeldError as error:
        raise cli.JobError(
            f"somebody works on {dataset.folder} ({error}): wait for the end, or let this job "
            "wait with --wait_s SECONDS"
        ) from error


def _forget(dataset: Dataset, video: Video, *, purge: bool) -> Lineage:
    # Before anything is deleted: a server that is away must not cost us the answer.
    check_runs(dataset, remedy="so that those that have seen the video are found")
    before = trace_video(dataset, video)
    with runlog.job_run(
        "forget",
        data=dataset.folder,
        workspace=cli.workspace(),
        config={"video_id": video.video_id, "purge": purge},
    ) as run:
        # First of all, so that a killed forget keeps its promise when it is told again.
        _remember(dataset, video)
        deleted = _delete_rows(dataset, video)
        pages = _clear_reports(dataset, video)
        sheets = _clear_predictions(before)
        say("forget", f"{video.uri}: {_counted(deleted)}")
        if pages:
            say("forget", f"{plural(pages, 'report')} made again without pictures")
        if sheets:
            say("forget", f"pictures of {plural(sheets, 'run')} of predict emptied")
        if purge:
            _purge(before, dataset)
        else:
            _say_older(before, dataset)
        say_uses(before.uses, job="forget")
        run.log_metrics({f"deleted/{name}": count for name, count in deleted.items()})
    return before


def _remember(dataset: Dataset, video: Video) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    dataset.forgotten.append_rows(
        [{"digest": video.digest, "video_id": video.video_id, "time": now}]
    )


def _delete_rows(dataset: Dataset, video: Video) -> dict[str, int]:
    deleted = {
        "manifest": _delete(dataset.manifest, "video_id", video.video_id),
        "files": _delete(dataset.files, "digest", video.digest),
    }
    deleted |= dataset.delete_videos([video.video_id])
    deleted["quarantine"] = dataset.quarantine.delete("video_id", [video.video_id])
    return deleted


def _delete(table: Table, column: str, value: str) -> int:
    """Delete rows of a table that `index` replaces as a whole, and that one file holds."""
    count = 0

    def change(rows: pa.Table) -> pa.Table:
        nonlocal count
        kept = rows.filter(pc.fill_null(pc.not_equal(rows[column], value), True))
        count = rows.num_rows - kept.num_rows
        return kept

    if table.exists:
        table.update(change)
    return count


def _clear_reports(dataset: Dataset, video: Video) -> int:
    """Reports that show the video are made again without pictures, here and in MLflow."""
    records = nights.earlier(dataset.folder, most=None)
    cleared = 0
    # Reports of before addresses were masked hold it whole: first, since it holds the other.
    uris = [json.dumps(uri)[1:-1] for uri in (video.uri, masked(video.uri))]
    for i, night in enumerate(records):
        record = night.to_json()
        if video.video_id not in night.pictured and not any(uri in record for uri in uris):
            continue
        for uri in uris:
            record = record.replace(uri, "(forgotten)")
        without = replace(Night.from_json(record), pictured=())
        records[i] = without
        text = page.render(without, before=records[max(0, i - page.NIGHTS_SHOWN) : i])
        nights.save(dataset.folder, without, text)
        _clear_run(night.run_id, text, without.to_json())
        cleared += 1
    return cleared


def _clear_predictions(before: Lineage) -> int:
    """Runs of predict whose pictures show the video, and no longer do."""
    pictured = [use for use in before.uses if use.is_pictured]
    for use in pictured:
        clear(runlog.open_run(use.run_id, workspace=cli.workspace()))
    return len(pictured)


def _clear_run(run_id: str, text: str, record: str) -> None:
    try:
        run = runlog.open_run(run_id, workspace=cli.workspace())
    except UserError:
        return  # another server's, or deleted there
    run.log_text(text, nights.PAGE)
    run.log_text(record, nights.RECORD)


def _purge(before: Lineage, dataset: Dataset) -> None:
    tables = dataset.tables()
    for name, trace in before.traces.items():
        current = set(tables[name].files()) if name in tables else set()
        gone = [path for path in trace.files if path not in current]
        for path in gone:
            path.unlink(missing_ok=True)
        if gone:
            said = f"{len(gone)} files deleted; versions {as_ranges(trace.versions)}"
            say("forget", f"{name}: {said} are no longer readable in full")


def _say_older(before: Lineage, dataset: Dataset) -> None:
    tables = dataset.tables()
    older = sum(
        len(set(trace.files) - set(tables[name].files() if name in tables else ()))
        for name, trace in before.traces.items()
    )
    if older:
        say(
            "forget",
            f"{plural(older, 'file')} of older table versions hold it still: `python -m "
            "pipelines.vacuum` deletes those that no run names, --purge deletes them all",
        )


def _counted(deleted: Mapping[str, int]) -> str:
    parts = [
        f"{count} row{'' if count == 1 else 's'} of {name}"
        for name, count in deleted.items()
        if count
    ]
    return f"deleted {', '.join(parts)}" if parts else "it has no row in any table"


if __name__ == "__main__":
    cli.main(forget, ForgetConfig)
