"""Write docs/leaderboard.md and its pictures from the records of models, or check the page."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import cli
from videoproc.report.leaderboard import fault, parse_record, render
from videoproc.report.leaderboard_plot import by_dataset, draw, picture_of
from videoproc.report.progress import say
from videoproc.types import UserError


@dataclass(frozen=True, kw_only=True)
class LeaderboardConfig:
    """What leaderboard does.

    Args:
        results: the folder of records (`benchmarks.learning.record` writes them).
        output: the page.
        pictures: the folder, beside the page, for a picture of each dataset's cross-validations.
        check: write nothing; fail where the page is not what the records give.
    """

    results: str = "benchmarks/results"
    output: str = "docs/leaderboard.md"
    pictures: str = "images"
    check: bool = False


def leaderboard(config: LeaderboardConfig) -> None:
    """Write docs/leaderboard.md and its pictures from the records of models, or check the page."""
    results = cli.local(config.results, setting="results")
    output = cli.local(config.output, setting="output")
    records = _records(results)
    link = Path(os.path.relpath(results, output.parent)).as_posix()
    drawn = by_dataset([record for _, record in sorted(records.items())])
    pictures = {dataset: f"{config.pictures}/{picture_of(dataset)}" for dataset in drawn}
    page = render(records, link=link, pictures=pictures)
    if config.check:
        _check(page, output)
        say("leaderboard", f"{output} is what the records in {results} give")
    else:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(page)
        say("leaderboard", f"wrote {output}")
        for dataset, there in drawn.items():
            picture = output.parent / pictures[dataset]
            picture.parent.mkdir(parents=True, exist_ok=True)
            draw(there).savefig(picture, dpi=110)
            say("leaderboard", f"drew {picture}")


def _records(results: Path) -> dict[str, dict[str, Any]]:
    if not results.is_dir():
        raise UserError(
            f"results is {str(results)!r}, which is no folder: name that of the records"
        )
    parsed = {p.name: parse_record(p.read_text(), file=p.name) for p in results.glob("*.json")}
    records = {file: record for file, record in parsed.items() if record is not None}
    if not records:
        raise UserError(
            f"results {results} holds no record of models: write one with "
            "`python -m benchmarks.learning.record`"
        )
    return records


def _check(page: str, output: Path) -> None:
    if not output.is_file():
        raise UserError(f"output {output} is not there: run `python -m pipelines.leaderboard`")
    if wrong := fault(output.read_text(), page):
        raise cli.JobError(f"{output}: {wrong}: run `python -m pipelines.leaderboard`")


if __name__ == "__main__":
    cli.main(leaderboard, LeaderboardConfig)
