"""Look at every file of a corpus and write the manifest: one row a video."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from pipelines import cli
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.corpus.layouts import LAYOUTS
from videoproc.corpus.splits import SplitConfig
from videoproc.report.progress import Progress, say
from videoproc.tables import Dataset
from videoproc.tables.quarantine import quarantine_row, release
from videoproc.types import UserError, Video

STAGE = "index"


@dataclass(frozen=True, kw_only=True)
class IndexConfig:
    """What index does.

    Args:
        source: the corpus: a folder, or a CSV file with a column `file`.
        data: the dataset folder.
        layout: how the corpus lies on disk: folder (a folder a class) or csv.
        split: how labelled videos are divided into train, val and test.
        processes: child processes that read files; by default one a core.
    """

    source: str
    data: str
    layout: str = "folder"
    split: SplitConfig = field(default_factory=SplitConfig)
    processes: int | None = None

    def __post_init__(self) -> None:
        if self.processes is not None and self.processes < 1:
            raise ValueError(f"processes is {self.processes}: use 1 or more, or null")


def index(config: IndexConfig) -> list[Video]:
    """Look at every file of a corpus and write the manifest: one row a video."""
    started = time.monotonic()
    if config.layout not in LAYOUTS:
        raise UserError(f"layout: no layout {config.layout!r}; there are {', '.join(LAYOUTS)}")
    dataset = Dataset(folder=cli.absolute(config.data))
    entries = LAYOUTS[config.layout](cli.absolute(config.source))
    progress = Progress(job="index", unit="files", total=len(entries))
    built = manifest.build(
        entries,
        split=config.split,
        workers=config.processes or os.cpu_count() or 1,
        on_progress=lambda done, _: progress.advance_to(done),
    )
    progress.close()
    if len(built.failed) == len(built.videos):
        raise UserError(
            f"corpus {config.source!r} has no readable video among its {len(entries)} files, and "
            f"the manifest is left as it was; the first says: {built.failed[0].error}"
        )
    with runlog.job_run(
        "index", data=dataset.folder, workspace=cli.workspace(), config=asdict(config)
    ) as run:
        _write(dataset, built.videos)
        run.set_tags({"manifest_digest": manifest.digest(built.videos)})
        run.log_metrics(
            {
                "files": len(entries),
                "videos": len(built.videos),
                "duplicates": len(built.duplicates),
                "errors": len(built.failed),
                "hours": sum(video.duration_s or 0 for video in built.videos) / 3600,
                "elapsed_s": time.monotonic() - started,
            }
        )
    _say_summary(built, time.monotonic() - started)
    return built.videos


def _write(dataset: Dataset, videos: Sequence[Video]) -> None:
    rows = manifest.to_table(videos)
    # Writing what is there already would only make a new version of the same.
    if not dataset.manifest.exists or not dataset.manifest.read().equals(rows):
        dataset.manifest.replace(rows)
    release(dataset.quarantine, stage=STAGE, recipe_ids=[""])
    dataset.quarantine.append_rows(
        [
            quarantine_row(
                video_id=video.video_id,
                uri=video.uri,
                stage=STAGE,
                error_class=video.error.partition(":")[0],
                message=video.error.partition(": ")[2],
            )
            for video in videos
            if video.error is not None
        ]
    )


def _say_summary(built: manifest.Manifest, elapsed_s: float) -> None:
    readable = [video for video in built.videos if video.error is None]
    hours = sum(video.duration_s or 0 for video in readable) / 3600
    say("index", f"{len(readable)} videos, {hours:.2f} hours, in {elapsed_s:.1f} s")
    splits = Counter(video.split or "none" for video in readable)
    say("index", "splits: " + ", ".join(f"{name} {n}" for name, n in sorted(splits.items())))
    labels = Counter(video.label or "unlabelled" for video in readable)
    say("index", "labels: " + ", ".join(f"{name} {n}" for name, n in sorted(labels.items())))
    for kept, dropped in built.duplicates:
        say("index", f"duplicate: {dropped} has the bytes of {kept}, kept once")
    for video in built.failed:
        say("index", f"quarantine: {video.uri}: {video.error}")


if __name__ == "__main__":
    cli.main(index, IndexConfig)
