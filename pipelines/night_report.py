"""What a night has done so far, and the report that is made of it, however the night ends."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np

from pipelines import cli
from videoproc import runlog, schema
from videoproc.corpus.manifest import Changes, Manifest
from videoproc.masking import masked, masked_uri
from videoproc.report import night as nights
from videoproc.report import page
from videoproc.report.night import ModelResult, Night
from videoproc.report.progress import say
from videoproc.storage import Anywhere
from videoproc.tables import Dataset, quarantine
from videoproc.tables.clip_reader import ClipReader, locate_clips
from videoproc.types import Row, UserError, Video
from videoproc.version import code_version

if TYPE_CHECKING:
    from pipelines.extract import Extracted
    from pipelines.predict import Predicted

SHEETS = 6  # contact sheets, one a label
SHEET_CLIPS = 8
MISTAKES = 6  # a model
NAMED = 20  # changed, moved, relabelled and deleted videos, on the page
TEST = "test/"


@dataclass(kw_only=True)
class Diary:
    """A night's own notes. attempts: of what was in quarantine before it, by id. models: the runs,
    by model; trained: those of tonight."""

    dataset: Dataset
    attempts: dict[str, int] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    began_s: float = field(default_factory=time.monotonic)
    phases: dict[str, float] = field(default_factory=dict)
    manifest: Manifest | None = None
    extracted: Extracted | None = None
    predicted: Predicted | None = None
    monitor: str = ""
    models: dict[str, runlog.Run] = field(default_factory=dict)
    trained: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, dataset: Dataset) -> Diary:
        rows = dataset.quarantine.read(["quarantine_id", "attempts"]).to_pylist()
        return cls(
            dataset=dataset, attempts={row["quarantine_id"]: row["attempts"] for row in rows}
        )

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Count the time of a `with` as a part of the night, also where it fails."""
        began_s = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = time.monotonic() - began_s


def write_report(
    diary: Diary, run: runlog.Run, *, outcome: str, error: str | None = None
) -> Anywhere:
    """Keep the night's record and page in the dataset and in its run; where the page is."""
    before = nights.earlier(diary.dataset.folder, most=page.NIGHTS_SHOWN)
    night = _night(diary, before, outcome=outcome, error=error)
    sheets: Sequence[page.Sheet] = ()
    mistakes: Sequence[page.Mistake] | None = None
    if outcome != nights.NOTHING_NEW:
        pictures = _Pictures(diary)
        sheets = pictures.sheets()
        mistakes = pictures.mistakes() if diary.models else None
        night = replace(night, pictured=sorted(pictures.shown))
    night = replace(night, run_id=run.run_id)
    text = page.render(night, before=before, sheets=sheets, mistakes=mistakes)
    place = nights.save(diary.dataset.folder, night, text)
    run.log_text(text, nights.PAGE)
    run.log_text(night.to_json(), nights.RECORD)
    run.set_tags({"outcome": outcome})
    run.set_note(f"{page.headline(night)}\n\nThe report is the artifact `{nights.PAGE}`.")
    run.log_metrics(_metrics(night))
    return place


def _night(diary: Diary, before: Sequence[Night], *, outcome: str, error: str | None) -> Night:
    failed = [
        row
        for row in diary.dataset.quarantine.read().to_pylist()
        if row["attempts"] > diary.attempts.get(row["quarantine_id"], 0)
    ]
    held = Counter(quarantine.held(diary.dataset.quarantine).values())
    night = Night(
        started=diary.started.isoformat(timespec="milliseconds"),
        dataset=diary.dataset.folder.name,
        code_version=code_version(),
        outcome=outcome,
        error=error,
        elapsed_s=time.monotonic() - diary.began_s,
        failures=nights.failures_of(failed),
        quarantine=dict(held.most_common()),
        phases=diary.phases,
        models=_models(diary, before),
    )
    if diary.manifest is not None:
        night = replace(
            night,
            videos=len(diary.manifest.videos),
            hours=sum(video.duration_s or 0.0 for video in diary.manifest.videos) / 3600,
            files_read=diary.manifest.num_read,
            unreadable=len(diary.manifest.failed),
            changes=diary.manifest.changes.counts(),
            named=tuple(_named(diary.manifest.changes)),
        )
    if (extracted := diary.extracted) is not None:
        night = replace(
            night,
            clips=extracted.clips,
            vectors=extracted.vectors,
            videos_decoded=extracted.videos_decoded,
            hours_decoded=extracted.hours_decoded,
            busy_s=extracted.busy_s,
        )
    if diary.predicted is not None:
        night = replace(night, predictions=diary.predicted.predictions)
    done = [part for part in (diary.extracted, diary.predicted) if part is not None]
    seconds: dict[str, float] = defaultdict(float)
    for part in done:
        for step, spent_s in part.seconds.items():
            seconds[step] += spent_s
    return replace(
        night,
        seconds=dict(seconds),
        cores=max((part.cores for part in done), default=0),
        idle_s=sum(part.idle_s for part in done),
    )


def _named(changes: Changes) -> list[str]:
    """The videos that are not just new, a line each, the first of many."""
    lines = [f"changed: {masked_uri(video.uri)}" for video in changes.changed]
    for video in changes.moved:
        was = changes.before[video.video_id]
        lines.append(f"moved: {masked_uri(was.uri)} → {masked_uri(video.uri)}")
    for video in changes.relabelled:
        was = changes.before[video.video_id]
        said = [
            f"{name} {old or 'none'} → {new or 'none'}"
            for name, old, new in (
                ("label", ", ".join(was.labels), ", ".join(video.labels)),
                ("group", was.group, video.group),
                ("split", was.split, video.split),
                ("error", was.error, video.error),
            )
            if old != new
        ]
        lines.append(f"relabelled: {masked_uri(video.uri)}: {'; '.join(said)}")
    lines += [f"deleted: {masked_uri(video.uri)}" for video in changes.deleted]
    more = len(lines) - NAMED
    lines = [masked(line) for line in lines[:NAMED]]
    return lines + ([f"and {more:,} more"] if more > 0 else [])


def _models(diary: Diary, before: Sequence[Night]) -> list[ModelResult]:
    """The models after the night; those of the night before where it came to none."""
    if not diary.models:
        last = before[-1].models if before else ()
        return [replace(model, trained_tonight=False) for model in last]
    return [
        ModelResult(
            model=model,
            run_id=run.run_id,
            monitor=diary.monitor,
            trained_tonight=model in diary.trained,
            metrics=metrics,
        )
        for model, run in diary.models.items()
        if (metrics := test_metrics(run))
    ]


def test_metrics(run: runlog.Run) -> dict[str, float]:
    """A run's metrics of the test split, by name without `test/`."""
    return {
        name.removeprefix(TEST): value
        for name, value in run.metrics.items()
        if name.startswith(TEST)
    }


def _metrics(night: Night) -> dict[str, float]:
    """What a chart of the nights can show."""
    return (
        {
            "videos": night.videos,
            "videos_decoded": night.videos_decoded,
            "videos_failed": sum(failure.count for failure in night.failures),
            "clips": night.clips,
            "elapsed_s": night.elapsed_s,
            "quarantined": sum(night.quarantine.values()),
        }
        | {f"changes/{name}": count for name, count in night.changes.items()}
        | {f"phases/{name}_s": seconds for name, seconds in night.phases.items()}
        | {f"{m.model}/{TEST}{m.monitor}": m.metrics[m.monitor] for m in night.models}
    )


class _Pictures:
    """Stored frames as pictures. Clips that are not there, for whatever reason, have none.

    shown: ids of the videos in them, so that a video can be forgotten.
    """

    def __init__(self, diary: Diary) -> None:
        self.diary = diary
        self.reader = ClipReader()
        self.shown: set[str] = set()

    def sheets(self) -> list[page.Sheet]:
        """One a label: of the videos that came in tonight, or else of the corpus."""
        from videoproc.report.pictures import middles

        if self.diary.manifest is None or not self.diary.dataset.clips.exists:
            return []
        changes = self.diary.manifest.changes
        came, what = [*changes.new, *changes.changed], "tonight"
        if not came:
            came, what = self.diary.manifest.videos, "the corpus"
        by_label: dict[str, list[Video]] = defaultdict(list)
        for video in came:
            if video.error is None:
                by_label[", ".join(video.labels) or "unlabelled"].append(video)
        largest = sorted(by_label.items(), key=lambda item: (-len(item[1]), item[0]))[:SHEETS]
        recipe = self.diary.dataset.recipe
        clip_ids = {
            label: [
                next(recipe.clips_of(videos[i], all_views=False)).clip_id
                for i in _evenly(len(videos), SHEET_CLIPS)
            ]
            for label, videos in largest
        }
        rows = self._rows([clip_id for ids in clip_ids.values() for clip_id in ids])
        found = {
            label: [schema.frames_of(rows[clip_id]) for clip_id in ids if clip_id in rows]
            for label, ids in clip_ids.items()
        }
        return [
            page.Sheet(
                caption=f"{label}: {len(clips)} of {len(by_label[label]):,} videos of {what}",
                jpeg=middles(clips, columns=4),
            )
            for label, clips in found.items()
            if clips
        ]

    def mistakes(self) -> list[page.Mistake]:
        """The most confident of each model."""
        told = [
            (model, row)
            for model, run in self.diary.models.items()
            for row in _mistakes_of(run)[:MISTAKES]
        ]
        rows = self._rows([row["clip_id"] for _, row in told])
        self.shown |= {row["video_id"] for _, row in told}  # by name, if not by picture
        return [
            page.Mistake(
                model=model,
                uri=row["uri"],
                true=row["true"],
                told=row["told"],
                confidence=row["confidence"],
                pictures=_still_and_moving(rows.get(row["clip_id"])),
            )
            for model, row in told
        ]

    def _rows(self, clip_ids: Sequence[str]) -> Mapping[str, Row]:
        """Clip rows, for `schema.frames_of`, by id."""
        rows: dict[str, Row] = {}
        try:
            places = locate_clips(self.diary.dataset.clips, clip_ids) if clip_ids else {}
        except OSError as error:
            say("nightly", f"no pictures of clips: {cli.in_one_line(error)}")
            return rows
        for clip_id, place in places.items():
            try:
                row = self.reader(place)
            except (UserError, OSError) as error:  # damaged: whoever uses the clip says so
                say("nightly", f"no picture of clip {clip_id}: {cli.in_one_line(error)}")
                continue
            self.shown.add(row["video_id"])
            rows[clip_id] = row
        return rows


def _still_and_moving(row: Row | None) -> page.StillAndMoving | None:
    from videoproc.report.pictures import moving, strip

    if row is None:
        return None
    frames = schema.frames_of(row)
    return page.StillAndMoving(jpeg=strip(frames), webp=moving(frames, pts_s=row["pts_s"]))


def _mistakes_of(run: runlog.Run) -> list[Row]:
    name = f"{TEST}mistakes.json"
    return list(run.read_json(name)) if run.has(name) else []


def _evenly(count: int, most: int) -> list[int]:
    return [int(i) for i in np.unique(np.linspace(0, count - 1, min(count, most)).round())]
