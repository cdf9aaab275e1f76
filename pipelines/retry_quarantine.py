"""Try again what is in quarantine, all of it or by stage, class of error and age."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from pipelines import cli, extract, index
from videoproc.report.progress import say
from videoproc.tables import Dataset, quarantine
from videoproc.types import Row


@dataclass(frozen=True, kw_only=True)
class RetryQuarantineConfig:
    """What retry_quarantine does.

    Args:
        data: the dataset folder.
        stage: only what failed in this stage: index or decode.
        error_class: only what failed for this reason, such as Timeout.
        min_age_days: only what failed for the last time at least so many days ago.
        mark_only: mark the rows and leave the work to the next night.
        inline: run in this process instead of on Ray, for a debugger.
    """

    data: str
    stage: str | None = None
    error_class: str | None = None
    min_age_days: float = 0.0
    mark_only: bool = False
    inline: bool = False

    def __post_init__(self) -> None:
        stages = (index.STAGE, extract.STAGE)
        if self.stage not in (None, *stages):
            raise ValueError(f"stage is {self.stage!r}: use {' or '.join(stages)}")
        if not self.min_age_days >= 0:
            raise ValueError(f"min_age_days is {self.min_age_days}: use 0 or more")


def retry_quarantine(config: RetryQuarantineConfig) -> None:
    """Try again what is in quarantine, all of it or by stage, class of error and age."""
    dataset = Dataset(folder=cli.absolute(config.data))
    dataset.require_manifest()
    rows = quarantine.choose(
        dataset.quarantine,
        stage=config.stage,
        error_class=config.error_class,
        min_age_days=config.min_age_days,
    )
    if not rows:
        say("retry", f"nothing in quarantine fits, of {_count(dataset)} rows")
        return
    quarantine.mark_for_retry(dataset.quarantine, [row["quarantine_id"] for row in rows])
    for (stage, error_class), count in Counter(map(_reason, rows)).most_common():
        say("retry", f"{count} x {error_class} in {stage}")
    if config.mark_only:
        say("retry", f"{len(rows)} rows are marked: the next night tries them again")
        return
    if any(row["stage"] == index.STAGE for row in rows):
        index.index(index.stored_config(dataset))
    if dataset.read_text(extract.SETTINGS) is not None:
        # All at once: a video that index can read now has never been decoded.
        extract.extract(replace(extract.stored_config(dataset), inline=config.inline))
    left = {row["quarantine_id"] for row in dataset.quarantine.read().to_pylist()}
    failed = sum(row["quarantine_id"] in left for row in rows)
    say("retry", f"{len(rows) - failed} of {len(rows)} have succeeded, {_count(dataset)} rows left")


def _reason(row: Row) -> tuple[str, str]:
    return row["stage"], row["error_class"]


def _count(dataset: Dataset) -> int:
    return dataset.quarantine.read(["quarantine_id"]).num_rows


if __name__ == "__main__":
    cli.main(retry_quarantine, RetryQuarantineConfig)
