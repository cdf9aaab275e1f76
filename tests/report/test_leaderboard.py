from __future__ import annotations

import json
import re
from typing import Any

import pytest

from videoproc.report.leaderboard import fault, parse_record, render
from videoproc.types import UserError


def run(value: float, *, seed: int = 0, fold: int = 0, bounds: bool = True) -> dict[str, Any]:
    metrics = {"test/accuracy": value, "test/clips": 40.0}
    if bounds:
        metrics |= {"test/accuracy_low": value - 0.1, "test/accuracy_high": value + 0.1}
    return {
        "run": f"run of {seed} {fold}",
        "seed": seed,
        "fold": fold,
        "tags": {"manifest_digest": f"{fold}" * 64},
        "metrics": metrics,
    }


def record(*, folds: int = 1, **models: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "record": "models",
        "version": 2,
        "dataset": "fights",
        "command": "make fights",
        "notes": ["small"],
        "protocol": {"split": "test", "group": "camera", "folds": folds},
        "metric": "accuracy",
        "maximise": True,
        "models": {m: {"parameters": 12345, "runs": runs} for m, runs in models.items()},
        "baselines": {"header only": {"accuracy": 0.55}},
    }


OTHER_MANIFEST = {"tags": {"manifest_digest": "f" * 64}}


def parse(found: dict[str, Any]) -> dict[str, Any] | None:
    return parse_record(json.dumps(found), file="x.json")


def page(**records: dict[str, Any]) -> str:
    return render({f"{name}.json": found for name, found in records.items()}, link="../results")


def rows(text: str) -> list[list[str]]:
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_models_and_baselines_stand_in_one_table_the_best_first() -> None:
    found = rows(page(a=record(cnn=[run(0.5)], gru=[run(0.7)])))
    assert [row[:2] for row in found[2:]] == [
        ["`gru`", "0.700"],
        ["header only (baseline)", "0.550"],
        ["`cnn`", "0.500"],
    ]


def test_a_row_says_interval_parameters_clips_seed_command_and_record() -> None:
    row = rows(page(a=record(gru=[run(0.7)])))[2]
    assert row[2:] == [
        "0.600 to 0.800", "12,345", "40", "0", "`make fights`", "[a.json](../results/a.json)",
    ]  # fmt: skip


def test_several_seeds_are_their_mean_and_range() -> None:
    row = rows(page(a=record(gru=[run(0.6, seed=0), run(0.8, seed=1)])))[2]
    assert row[1:3] == ["0.700", "runs 0.600 to 0.800"]
    assert row[4:6] == ["40", "0, 1"]


def test_the_clips_of_all_folds_count() -> None:
    found = parse(record(folds=2, gru=[run(0.6, fold=0), run(0.7, fold=1)]))
    assert found is not None
    assert rows(page(a=found))[2][4] == "80"
    assert "split by `camera`, 2 folds" in page(a=found)


def test_records_of_one_dataset_and_protocol_share_a_table() -> None:
    text = page(a=record(cnn=[run(0.5)]), b=record(gru=[run(0.7)]))
    assert text.count("## fights") == 1
    assert text.count("- small") == 1


def test_another_manifest_is_another_table() -> None:
    other = record(gru=[run(0.7)])
    other["models"]["gru"]["runs"][0] |= OTHER_MANIFEST
    assert page(a=record(cnn=[run(0.5)]), b=other).count("## fights") == 2


def test_a_run_with_one_source_has_no_interval() -> None:
    assert rows(page(a=record(gru=[run(0.7, bounds=False)])))[2][2] == ""


@pytest.mark.parametrize("other", [{"record": "speed"}, {"seconds": 3}, [1, 2]])
def test_files_of_another_kind_are_left_alone(other: Any) -> None:
    assert parse_record(json.dumps(other), file="x.json") is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"version": 1}, "x.json has version 1"),
        ({"models": {"gru": {"runs": [{"seed": 0, "fold": 0}]}}}, "x.json lacks"),
        ({"protocol": {"split": "val", "group": None, "folds": 1}}, "x.json lacks.*val/accuracy"),
        ({"models": {"gru": {"runs": [run(0.5), run(0.6)]}}}, "each seed needs each of 1 folds"),
        (
            {"models": {"a": {"runs": [run(0.5)]}, "b": {"runs": [run(0.5) | OTHER_MANIFEST]}}},
            "not measured on the same manifest",
        ),
    ],
)  # fmt: skip
def test_what_is_amiss_with_a_record_is_named(change: dict[str, Any], expected: str) -> None:
    with pytest.raises(UserError, match=expected):
        parse(record(gru=[run(0.7)]) | change)


def test_a_file_that_is_no_json_is_named() -> None:
    with pytest.raises(UserError, match=r"record x\.json is no JSON"):
        parse_record("{", file="x.json")


GOOD = page(a=record(cnn=[run(0.5)], gru=[run(0.7)]))
ROW = next(line for line in GOOD.splitlines() if line.startswith("| `gru`"))


def test_a_page_that_is_what_the_records_give_has_no_fault() -> None:
    assert fault(GOOD, GOOD) is None


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (GOOD.replace(ROW, ROW + "\n" + ROW.replace("`gru`", "`best`")), "`best` of .* no record"),
        (GOOD.replace(ROW, ROW + "\n" + ROW.replace("a.json", "b.json")), "b.json.* no record"),
        (GOOD.replace("## fights", "## lions"), "of 'lions: .* no record"),
        (GOOD.replace("0.700", "0.900"), "`gru` of .* is not what its record gives"),
        (GOOD.replace(ROW + "\n", ""), "`gru` of .* is missing"),
        (GOOD.replace(ROW, ROW + "\n" + ROW), "a line that is no row, or the order"),
        (GOOD.replace("- small", "- large"), "a line that is no row, or the order"),
    ],
)
def test_a_fault_names_the_row(page: str, expected: str) -> None:
    found = fault(page, GOOD)
    assert found is not None
    assert re.search(expected, found), found
