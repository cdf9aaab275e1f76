"""Look at every file of a corpus and write the manifest: one row a video."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace

from pipelines import cli
from videoproc import runlog
from videoproc.augment import LabelRule
from videoproc.corpus import manifest, survey
from videoproc.corpus.layouts import LAYOUTS, Entry
from videoproc.corpus.manifest import Known, Manifest
from videoproc.corpus.splits import SplitConfig
from videoproc.masking import masked_uri
from videoproc.media import Limits
from videoproc.report.progress import Progress, say
from videoproc.report.words import duration, plural
from videoproc.roots import Roots
from videoproc.tables import Dataset, quarantine
from videoproc.tables.table import ConflictError
from videoproc.types import Row, UserError, Video

STAGE = "index"
SHOWN = 5  # of the files that are bad or there twice
SETTINGS = "index.json"
"""In the dataset: how its manifest was made. Splits are dealt anew where theirs differ."""

CHECK = "check.json"
"""In the dataset: what `check` has last found."""


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """What index does.

    Args:
        source: the corpus: a folder, or a list of files, here or in an object store (s3://). By
            default that of the last time, with its layout and split.
        data: the dataset folder.
        layout: how the corpus is laid out: folder, csv, jsonl, parquet or ucf101.
        split: how labelled videos are divided into train, val and test.
        processes: child processes that read files; by default one a core.
        limits: what reading one file may cost before it is given up; all of its bytes are read.
        rehash: read every file, also those whose size and time have not changed.
        max_vanished_share: stop where more than this share of the known videos is gone, since a
            disk that is not mounted looks like that.
        keeps_labels: augmentations after which a clip keeps its label, such as [flip_horizontal];
            those that mirror space or time need it. By default those of the last time.
        changes_labels: augmentations that must not be used on this corpus, such as [hue]. By
            default those of the last time.
        resplit: deal splits anew although the dataset's groups would no longer keep together.
        roots: the folders, s3://bucket/prefix or https://host/prefix that videos may lie in; what a
            list or a link names elsewhere goes into quarantine. By default those of the last time,
            else the folder of the source alone; [] goes back to that.
        check: then say whether the corpus is fit to learn from: balance, what headers give away,
            near-duplicates across the split. A few frames of every video are decoded for it.
    """

    data: str
    source: str | None = None
    layout: str = "folder"
    split: SplitConfig = field(default_factory=SplitConfig)
    processes: int | None = None
    limits: Limits = survey.LIMITS
    rehash: bool = False
    max_vanished_share: float = 0.5
    keeps_labels: tuple[str, ...] | None = None
    changes_labels: tuple[str, ...] | None = None
    resplit: bool = False
    roots: tuple[str, ...] | None = None
    check: bool = False

    def __post_init__(self) -> None:
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"processes is {self.processes}: use 1 or more, or null")
        cli.check_share(self.max_vanished_share, setting="max_vanished_share")
        LabelRule(keeps=self.keeps_labels or (), changes=self.changes_labels or ())


def index(config: IndexConfig) -> Manifest:
    """Look at every file of a corpus and write the manifest: one row a video."""
    started = time.monotonic()
    if config.layout not in LAYOUTS:
        raise UserError(f"layout: no layout {config.layout!r}; there are {', '.join(LAYOUTS)}")
    dataset = Dataset(folder=cli.absolute(config.data))
    if config.source is None:
        last = stored_config(dataset)
        config = replace(config, source=last.source, layout=last.layout, split=last.split)
    rule = label_rule(dataset, keeps=config.keeps_labels, changes=config.changes_labels)
    config = replace(
        config,
        keeps_labels=rule.keeps,
        changes_labels=rule.changes,
        roots=_chosen_roots(config, dataset),
    )
    _check_groups_stay(config, dataset)
    assert config.source is not None
    source = cli.absolute(config.source)
    roots = _effective_roots(config)
    entries = LAYOUTS[config.layout](source)
    _check_still_inside(dataset, entries, roots)
    version = dataset.manifest.version
    built = _build(config, dataset, entries, roots)
    _check_found(config, built, num_files=len(entries), known=version >= 0)
    with runlog.job_run(
        "index", data=dataset.folder, workspace=cli.workspace(), config=asdict(config)
    ) as run:
        _write(dataset, built, since=version)
        stored = replace(config, source=str(source), check=False, resplit=False)
        dataset.write_text(SETTINGS, cli.stored(stored))
        run.set_tags(
            {
                "manifest_digest": manifest.digest(built.videos),
                "table_version.manifest": dataset.manifest.version,
            }
        )
        run.log_metrics(
            {
                "files": len(entries),
                "files_read": built.num_read,
                "videos": len(built.videos),
                "duplicates": len(built.duplicates),
                "errors": len(built.failed),
                "hours": sum(video.duration_s or 0 for video in built.videos) / 3600,
                "elapsed_s": time.monotonic() - started,
            }
            | {f"changes/{name}": count for name, count in built.changes.counts().items()}
        )
        _say_summary(built, time.monotonic() - started)
        if config.check:
            _check_readiness(config, dataset, built, run)
    return built


def _check_readiness(
    config: IndexConfig, dataset: Dataset, built: Manifest, run: runlog.Run
) -> None:
    # Imported here: a night that checks nothing needs no scikit-learn.
    from videoproc.corpus import readiness, readiness_text

    progress = Progress(job="check", unit="videos", total=len(built.videos))

    def on_progress(done: int, total: int) -> None:
        progress.total = total
        progress.advance_to(done)

    found = readiness.check(
        built.videos,
        workers=_workers(config),
        roots=_effective_roots(config),
        on_progress=on_progress,
    )
    progress.close()
    warnings = readiness.warnings(found)
    report = asdict(found) | {"warnings": warnings}
    dataset.write_text(CHECK, json.dumps(report, indent=2))
    run.log_json(report, CHECK)
    run.log_metrics(
        {
            "check/warnings": len(warnings),
            "check/near_duplicates": found.near_duplicates.copies,
            "check/alike": found.near_duplicates.alike,
        }
        | ({"check/header_only_accuracy": h.accuracy} if (h := found.header_only) else {})
    )
    print(f"\n{readiness_text.to_text(found)}\n", flush=True)
    say("check", f"written to {dataset.folder / CHECK}")


def _workers(config: IndexConfig) -> int:
    return config.processes or cli.cores_here()


def _build(
    config: IndexConfig, dataset: Dataset, entries: Sequence[Entry], roots: Roots
) -> Manifest:
    files = survey.from_table(dataset.files.read())
    rows = dataset.manifest.read()
    failed = quarantine.chosen_for_retry(dataset.quarantine, stage=STAGE)
    retried = {masked_uri(row["uri"]) for row in failed}  # older rows have addresses as they were
    known = Known(
        files={} if config.rehash else files,
        videos=manifest.from_table(rows),
        forgotten=frozenset(dataset.forgotten.read(["digest"])["digest"].to_pylist()),
        again={e.uri for e in entries if masked_uri(e.uri) in retried} if retried else set(),
        keep_splits=_splits_were_dealt_so(dataset, config.split),
    )
    progress = Progress(job="index", unit="files", total=len(entries))

    def on_progress(done: int, total: int) -> None:
        progress.total = total
        progress.advance_to(done)

    built = manifest.build(
        entries,
        split=config.split,
        workers=_workers(config),
        known=known,
        limits=config.limits,
        roots=roots,
        on_progress=on_progress,
    )
    progress.close()
    return built


def stored_config(dataset: Dataset) -> IndexConfig:
    """How the dataset's manifest was last made."""
    text = dataset.read_text(SETTINGS)
    if text is None:
        raise UserError(
            f"dataset {dataset.folder} has no {SETTINGS}: give --source, the corpus to index"
        )
    return cli.restored(IndexConfig, text)


def label_rule(
    dataset: Dataset,
    *,
    keeps: tuple[str, ...] | None = None,
    changes: tuple[str, ...] | None = None,
) -> LabelRule:
    """What is given of the labels' rule, the rest as the dataset has it; without any, nothing is
    declared."""
    text = dataset.read_text(SETTINGS)
    last = {} if text is None else json.loads(text)
    return LabelRule(
        keeps=tuple(last.get("keeps_labels") or ()) if keeps is None else keeps,
        changes=tuple(last.get("changes_labels") or ()) if changes is None else changes,
    )


def roots_of(dataset: Dataset) -> Roots | None:
    """Where the dataset's videos may lie; anywhere if no index has made its manifest, or one of
    before there were roots."""
    text = dataset.read_text(SETTINGS)
    if text is None or "roots" not in json.loads(text):
        return None
    return _effective_roots(cli.restored(IndexConfig, text))


def _chosen_roots(config: IndexConfig, dataset: Dataset) -> tuple[str, ...] | None:
    """Those that are given, else those of the last time; none where the source's folder is it."""
    chosen = config.roots
    if chosen is None:
        chosen = tuple(json.loads(dataset.read_text(SETTINGS) or "{}").get("roots") or ())
    return tuple(str(cli.absolute(place)) for place in chosen) or None


def _effective_roots(config: IndexConfig) -> Roots:
    if config.roots:
        return Roots(config.roots)
    assert config.source is not None
    source = cli.absolute(config.source).resolve()
    if config.layout == "ucf101":  # its lists lie in a folder beside those of the videos
        return Roots((str(source.parent.parent if source.suffix == ".txt" else source),))
    return Roots((str(source if config.layout == "folder" else source.parent),))


def _check_still_inside(dataset: Dataset, entries: Sequence[Entry], roots: Roots) -> None:
    """A dataset of before there were roots must not lose videos to the first night with them."""
    text = dataset.read_text(SETTINGS)
    if text is None or "roots" in json.loads(text):
        return
    listed = {entry.uri for entry in entries}
    for video in manifest.from_table(dataset.manifest.read()):
        if video.error is None and video.uri in listed:
            try:
                roots.find(video.uri)
            except OSError as error:
                raise UserError(f"the manifest is left as it was: {error}") from error


def _check_groups_stay(config: IndexConfig, dataset: Dataset) -> None:
    """A forgotten setting must not put the videos of one camera on several sides."""
    text = dataset.read_text(SETTINGS)
    group = json.loads(text)["split"]["group"] if text is not None else None
    if group is not None and config.split.group is None and not config.resplit:
        raise UserError(
            f"split.group is none, and {dataset.folder} was made with {group!r}: give "
            f"--split.group {group!r} again, leave out --source to index as the last time, or say "
            "--resplit to deal its splits without groups"
        )


def _splits_were_dealt_so(dataset: Dataset, split: SplitConfig) -> bool:
    text = dataset.read_text(SETTINGS)
    return text is not None and json.loads(text)["split"] == asdict(split)


def _check_found(config: IndexConfig, built: Manifest, *, num_files: int, known: bool) -> None:
    if len(built.failed) == len(built.videos) and built.videos:
        raise UserError(
            f"corpus {config.source!r} has no readable video among its {num_files} files, and "
            f"the manifest is left as it was; the first says: {built.failed[0].error}"
        )
    deleted, before = len(built.changes.deleted), built.changes.known
    if known and deleted > config.max_vanished_share * before:
        raise UserError(
            f"{deleted} of {before} known videos are no longer in {config.source!r}, and the "
            "manifest is left as it was: is the source mounted? If they are gone for good, "
            "run index with --max_vanished_share 1"
        )


def _write(dataset: Dataset, built: Manifest, *, since: int) -> None:
    try:
        dataset.manifest.replace(manifest.to_table(built.videos), since=since)
    except ConflictError as error:
        raise cli.JobError(
            f"another index has written the manifest meanwhile ({error}): run it again"
        ) from error
    dataset.files.replace(survey.to_table(built.files))
    _write_quarantine(dataset, built)


def _write_quarantine(dataset: Dataset, built: Manifest) -> None:
    """Failures of tonight come in; what is readable now, or gone, goes out."""
    failed = [_failure(video) for video in built.failed]
    there = {row["quarantine_id"]: row for row in failed}
    rows = quarantine.choose(dataset.quarantine, stage=STAGE)
    held = {row["quarantine_id"] for row in rows if not row["retry"]}
    quarantine.release(
        dataset.quarantine, [r["quarantine_id"] for r in rows if r["quarantine_id"] not in there]
    )
    quarantine.put(dataset.quarantine, [row for key, row in there.items() if key not in held])
    videos = {video.video_id for video in built.videos}
    quarantine.release(
        dataset.quarantine,
        [
            row["quarantine_id"]
            for row in quarantine.choose(dataset.quarantine)
            if row["stage"] != STAGE and row["video_id"] not in videos
        ],
    )


def _failure(video: Video) -> Row:
    error_class, _, message = str(video.error).partition(": ")
    return quarantine.quarantine_row(
        video_id=video.video_id,
        digest=video.digest,
        uri=video.uri,
        stage=STAGE,
        error_class=error_class,
        message=message,
    )


def _say_summary(built: Manifest, elapsed_s: float) -> None:
    readable = [video for video in built.videos if video.error is None]
    lasting = duration(sum(video.duration_s or 0 for video in readable))
    say("index", f"{plural(len(readable), 'video')}, {lasting}, looked at in {elapsed_s:.1f} s")
    counts = built.changes.counts()
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    say("index", f"{said or 'nothing there'}; {built.num_read} files read")
    splits = Counter(video.split or "none" for video in readable)
    say("index", "splits: " + ", ".join(f"{name} {n}" for name, n in sorted(splits.items())))
    if built.val_from_train:
        say("index", f"the corpus gives no val: {built.val_from_train} videos of its train are val")
    labels = Counter(label for video in readable for label in video.labels or ("unlabelled",))
    flags = Counter(flag for video in readable for flag in video.flags)
    if flags:
        said = ", ".join(f"{name} {n}" for name, n in sorted(flags.items()))
        say("index", f"out of the ordinary: {said} (`accept` of extract takes or refuses them)")
    say("index", "labels: " + ", ".join(f"{name} {n}" for name, n in sorted(labels.items())))
    for kept, dropped in built.duplicates[:SHOWN]:
        say("index", f"duplicate: {dropped} has the bytes of {kept}, kept once")
    if (more := len(built.duplicates) - SHOWN) > 0:
        say("index", f"duplicates: and {more} more")
    if built.forgotten:
        say("index", f"{built.forgotten} files are of videos that were to be forgotten: left out")
    for video in built.failed[:SHOWN]:
        say("index", f"quarantine: {video.uri}: {video.error}")
    if (more := len(built.failed) - SHOWN) > 0:
        say("index", f"quarantine: and {more} more, in the table `quarantine`")


if __name__ == "__main__":
    cli.main(index, IndexConfig)
