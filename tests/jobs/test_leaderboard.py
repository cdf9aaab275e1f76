"""leaderboard: the page and the records behind it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.learning.record import make_record
from pipelines import leaderboard as job
from pipelines.evaluate import EvaluateConfig, evaluate
from pipelines.leaderboard import LeaderboardConfig, leaderboard
from videoproc import runlog

PROJECT = Path(__file__).parents[2]
RESULTS = PROJECT / "benchmarks" / "results"
PAGE = PROJECT / "docs" / "leaderboard.md"

RunJob = Callable[..., tuple[int, str, str]]


def test_each_row_of_this_projects_leaderboard_has_its_record() -> None:
    leaderboard(LeaderboardConfig(results=str(RESULTS), output=str(PAGE), check=True))


def test_the_page_that_is_written_passes_its_own_check(tmp_path: Path, run_job: RunJob) -> None:
    where = ["--results", str(RESULTS), "--output", str(tmp_path / "docs" / "page.md")]
    assert run_job(job, *where)[0] == 0
    code, said, _ = run_job(job, *where, "--check")
    assert (code, "what the records" in said) == (0, True)
    pictures = re.findall(r"!\[.*\]\((.*)\)", (tmp_path / "docs" / "page.md").read_text())
    assert pictures == ["images/leaderboard-surveillance_fights.png"]
    assert (tmp_path / "docs" / pictures[0]).read_bytes()[:4] == b"\x89PNG"


def test_a_row_without_a_record_fails_the_check_in_one_line(
    tmp_path: Path, run_job: RunJob
) -> None:
    page = tmp_path / "page.md"
    where = ["--results", str(RESULTS), "--output", str(page)]
    run_job(job, *where)
    text = page.read_text()
    row = next(line for line in text.splitlines() if line.startswith("| `cnn_gru`"))
    page.write_text(text.replace(row, row + "\n" + row.replace("cnn_gru", "dreamt")))
    before = page.read_text()
    code, _, error = run_job(job, *where, "--check", "true")
    assert (code, error.count("\n")) == (1, 1)
    assert "row `dreamt` of 'demo" in error
    assert "has no record behind it" in error
    assert page.read_text() == before


@pytest.mark.parametrize("make", [False, True])
def test_a_folder_without_records_is_wrong_input(
    tmp_path: Path, run_job: RunJob, make: bool
) -> None:
    if make:
        (tmp_path / "results").mkdir()
    code, _, error = run_job(job, "--results", "results", "--output", "page.md")
    assert (code, error.count("\n")) == (2, 1)
    assert f"results {'' if make else 'is '}" in error


def test_a_page_that_is_not_there_cannot_be_checked(run_job: RunJob) -> None:
    code, _, error = run_job(job, "--results", str(RESULTS), "--output", "no.md", "--check")
    assert (code, "no.md is not there" in error) == (2, True)


def test_a_record_of_a_trained_and_evaluated_run_gives_its_row(trained, tmp_path: Path) -> None:
    measured = evaluate(EvaluateConfig(data=str(trained.data), run=trained.run_id))
    config = {"split": {"group": "source"}}
    with runlog.job_run("index", data=trained.data, workspace=trained.workspace, config=config):
        pass
    record = make_record(
        {"cnn_gru": trained.run},
        workspace=trained.workspace,
        data=trained.data,
        name="small",
        command="make small",
    )
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "small.json").write_text(json.dumps(record))
    leaderboard(LeaderboardConfig(results="results", output="page.md"))
    page = (tmp_path / "page.md").read_text()
    names, row = (
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in page.splitlines()
        if line.startswith(("| model", "| `cnn_gru`"))
    )
    cells = dict(zip(names, row, strict=True))
    assert (cells["kind"], cells["accuracy"]) == ("network", f"{measured['test/accuracy']:.3f}")
    assert int(cells["parameters"].replace(",", "")) > 0
    assert (cells["clips"], cells["seeds"]) == ("6", "0")
    assert cells["record"] == "[small.json](results/small.json)"
    assert "By `make small`:" in page
    assert "split by `source`" in page
