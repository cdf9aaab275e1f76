"""compare: two trained runs on the same clips."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines import cli
from pipelines.compare import CompareConfig, compare
from pipelines.evaluate import EvaluateConfig, evaluate
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.tables import Dataset


@pytest.fixture
def run_compare(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """The command line's exit code, output and errors."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["compare", *arguments])
        code = 0
        try:
            cli.main(compare, CompareConfig)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def untrained(log_untrained: Callable[..., str]) -> str:
    return log_untrained()


@pytest.fixture
def both(trained, untrained: str) -> tuple[str, str]:
    """The ids of two runs, evaluated on the same clips."""
    for run_id in (trained.run_id, untrained):
        evaluate(EvaluateConfig(data=str(trained.data), run=run_id))
    return trained.run_id, untrained


def test_metrics_their_difference_and_what_made_them_are_printed(
    both: tuple[str, str], trained, run_compare
) -> None:
    code, said, _ = run_compare(both[0][:8], both[1][:8])
    assert code == 0, said
    assert "Both were measured on the same 6 clips of split test, from 6 source(s)." in said
    a, b = (runlog.open_run(i, workspace=trained.workspace).metrics for i in both)
    found = re.search(r"^accuracy +(\S+) +(\S+) +(\S+)", said, re.MULTILINE)
    assert found is not None
    expected = a["test/accuracy"], b["test/accuracy"], b["test/accuracy"] - a["test/accuracy"]
    assert tuple(map(float, found.groups())) == pytest.approx(expected, abs=1e-4)
    assert "6 sources are few" in said
    assert "model cnn_gru -> cnn" in said
    assert "code: the same" in said


def test_why_lists_the_clips_that_one_alone_gets_right(both: tuple[str, str], run_compare) -> None:
    compared = compare(CompareConfig(*both))
    _, said, _ = run_compare(*both, "--why", "true")
    only_a, only_b = (
        int(re.search(rf"only {title} is right: (\d+) clips", said)[1]) for title in "AB"
    )
    assert (only_b - only_a) / 6 == pytest.approx(compared[0].b - compared[0].a)
    assert len(re.findall(r"\.mp4 0\.0-.* s: true \w+; A says", said)) == only_a + only_b


def test_a_run_that_was_not_evaluated_is_told_the_command(trained, untrained, run_compare) -> None:
    evaluate(EvaluateConfig(data=str(trained.data), run=trained.run_id))
    code, _, error = run_compare(trained.run_id, untrained)
    assert code == 2
    assert (
        f"run `python -m pipelines.evaluate --data {trained.data} --run {untrained} --split test`"
        in error
    )
    assert error.count("\n") == 1


def test_only_common_clips_are_compared_and_the_others_counted(
    both: tuple[str, str], trained, tmp_path: Path, run_compare
) -> None:
    data = Path(shutil.copytree(trained.data, tmp_path / "copy"))
    evaluate(EvaluateConfig(data=str(data), run=both[0]))
    table = Dataset(folder=data).manifest
    videos = manifest.from_table(table.read())
    dropped, relabelled, *_ = [i for i, video in enumerate(videos) if video.split == "test"]
    videos[dropped] = replace(videos[dropped], split=None)
    other = next(v.label for v in videos if v.label not in (None, videos[relabelled].label))
    videos[relabelled] = replace(videos[relabelled], labels=(other,))
    table.replace(manifest.to_table(videos))
    evaluate(EvaluateConfig(data=str(data), run=both[1]))
    code, said, _ = run_compare(*both, "--data", str(data))
    assert code == 0
    assert "Not measured on the same clips (A 6, B 5): compared on the common 4 clips" in said
    assert "measured clips: 0 added, 1 removed, 1 relabelled" in said
    assert "the manifest has changed between the evaluations" in said


def test_runs_without_a_common_clip_are_refused(
    both: tuple[str, str], trained, tmp_path: Path, run_compare
) -> None:
    data = Path(shutil.copytree(trained.data, tmp_path / "copy"))
    table = Dataset(folder=data).manifest
    videos = manifest.from_table(table.read())
    test = [i for i, video in enumerate(videos) if video.split == "test"]
    for run_id, half in zip(both, (test[::2], test[1::2]), strict=True):
        chosen = [
            v if i in half or i not in test else replace(v, split=None)
            for i, v in enumerate(videos)
        ]
        table.replace(manifest.to_table(chosen))
        evaluate(EvaluateConfig(data=str(data), run=run_id))
    code, _, error = run_compare(*both, "--data", str(data))
    assert (code, error.count("\n")) == (2, 1)
    assert "have no measured clip in common" in error


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [("abc", "run 'abc' is no run id: give 6 characters"), ("abcdefgh", "run 'abcdefgh' does not")],
)
def test_a_run_that_is_not_there_is_named(prefix: str, expected: str, run_compare) -> None:
    code, _, error = run_compare(prefix, prefix)
    assert code == 2
    assert expected in error


def test_a_run_of_another_job_is_refused(trained, run_compare) -> None:
    with runlog.job_run(
        "extract", data=trained.data, workspace=trained.workspace, config={}
    ) as run:
        pass
    code, _, error = run_compare(run.run_id, trained.run_id)
    assert code == 2
    assert "is one of extract: give the id of a training run" in error


def test_runs_of_different_tasks_or_datasets_are_refused(
    trained, log_untrained: Callable[..., str], run_compare
) -> None:
    other = log_untrained(task="reconstruction")
    _, _, error = run_compare(trained.run_id, other)
    assert "different tasks, classification and reconstruction" in error
    other = log_untrained(data="/elsewhere")
    _, _, error = run_compare(trained.run_id, other)
    assert f"different datasets, {trained.data} and /elsewhere: say with --data" in error


@pytest.mark.parametrize(("field", "value"), [("split", "all"), ("count", 0)])
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{field} is {value!r}"):
        CompareConfig("a", "b", **{field: value})


def test_two_runs_are_asked_for(run_compare) -> None:
    code, _, error = run_compare("abcdefgh")
    assert code == 2
    assert "run_b" in error
