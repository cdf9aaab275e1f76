from __future__ import annotations

import json
import re
from typing import Any

import pytest

from videoproc.report.leaderboard import fault, parse_record, render
from videoproc.types import UserError


def run(value: float, *, seed: int = 0, split: str = "test", **metrics: float) -> dict[str, Any]:
    known = {"accuracy": value, "accuracy_low": value - 0.1, "accuracy_high": value + 0.1}
    return {
        "run": f"run of {seed}",
        "seeds": [seed],
        "tags": {"manifest_digest": "0" * 64},
        "metrics": {f"{split}/{n}": v for n, v in ({"clips": 40.0} | known | metrics).items()},
    }


def record(*, protocol: dict[str, Any] | None = None, **models: list[dict[str, Any]]) -> Any:
    return {
        "record": "models",
        "version": 3,
        "dataset": "fights",
        "command": "make fights",
        "notes": ["small"],
        "protocol": {"split": "test", "group": "camera", "folds": 1} | (protocol or {}),
        "metric": "accuracy",
        "maximise": True,
        "models": {
            m: {"kind": "network", "parameters": 12345, "runs": runs} for m, runs in models.items()
        },
        "baselines": {"header_only": {"accuracy": 0.55}},
    }


OTHER_MANIFEST = {"tags": {"manifest_digest": "f" * 64}}
ON_FOLDS = {key: {"tags": {"manifest_digest": "0" * 64, "folds_key": key}} for key in ("1", "2")}


def parse(found: dict[str, Any]) -> dict[str, Any] | None:
    return parse_record(json.dumps(found), file="x.json")


def page(**records: dict[str, Any]) -> str:
    return render({f"{name}.json": found for name, found in records.items()}, link="../results")


def rows(text: str) -> list[dict[str, str]]:
    """By column, of all tables."""
    found, names = [], None
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("| "):
            names = None
        elif names is None:
            names = cells
        elif cells[0] != "---":
            found.append(dict(zip(names, cells, strict=True)))
    return found


def test_models_and_baselines_stand_in_one_table_the_best_first() -> None:
    found = rows(page(a=record(cnn=[run(0.5)], gru=[run(0.7)])))
    assert [(row["model"], row["accuracy"], row["kind"]) for row in found] == [
        ("`gru`", "0.700", "network"),
        ("header_only", "0.550", "baseline"),
        ("`cnn`", "0.500", "network"),
    ]


def test_a_row_says_interval_parameters_clips_seed_and_record() -> None:
    assert rows(page(a=record(gru=[run(0.7)])))[0] == {
        "model": "`gru`",
        "kind": "network",
        "accuracy": "0.700",
        "interval": "0.600 to 0.800",
        "parameters": "12,345",
        "clips": "40",
        "seeds": "0",
        "record": "[a.json](../results/a.json)",
    }


def test_a_row_says_what_a_clip_costs_and_the_command_of_its_own_where_they_are_known() -> None:
    found = record(gru=[run(0.7)])
    costs = {"multiply_adds": 2_140_000_000, "clips_per_second": 1234.5, "command": "make gru"}
    found["models"]["gru"] |= costs
    row = rows(page(a=found))[0]
    assert (row["multiply-adds"], row["clips/s"]) == ("2,140 M", "1,234")
    assert row["command"] == "`make gru`"


def test_a_command_that_made_all_rows_stands_above_them() -> None:
    text = page(a=record(gru=[run(0.7)], cnn=[run(0.5)]))
    assert "By `make fights`:" in text
    assert "command" not in rows(text)[0]


def test_a_row_says_what_it_has_over_the_headers_with_the_interval_of_the_difference() -> None:
    paired = {
        "over_header_only": 0.1,
        "over_header_only_low": -0.02,
        "over_header_only_high": 0.2,
    }
    found = rows(page(a=record(gru=[run(0.7, **paired)], cnn=[run(0.5)])))
    assert found[0]["over header only"] == "+0.100 (-0.020 to +0.200)"
    assert found[2]["over header only"] == ""


def test_a_record_may_have_columns_of_its_own() -> None:
    found = record(gru=[run(0.7, accuracy_rest=0.65)]) | {"also": {"accuracy_rest": "the rest"}}
    assert rows(page(a=found))[0]["the rest"] == "0.650"


def test_several_runs_are_their_mean_and_range() -> None:
    row = rows(page(a=record(gru=[run(0.6, seed=0), run(0.8, seed=1)])))[0]
    assert (row["accuracy"], row["interval"]) == ("0.700", "runs 0.600 to 0.800")
    assert (row["clips"], row["seeds"]) == ("40", "0, 1")


def test_one_run_of_several_seeds_has_its_own_interval() -> None:
    row = rows(page(a=record(gru=[run(0.6) | {"seeds": [0, 1, 2]}])))[0]
    assert (row["interval"], row["seeds"]) == ("0.500 to 0.700", "0, 1, 2")


def test_a_cross_validation_says_its_folds() -> None:
    protocol = {"split": "folds", "folds": 5}
    found = parse(record(protocol=protocol, gru=[run(0.6, split="folds")]))
    assert found is not None
    assert "accuracy on folds, split by `camera`, 5 folds" in page(a=found)


def test_records_of_one_dataset_and_protocol_share_a_table() -> None:
    text = page(a=record(cnn=[run(0.5)]), b=record(gru=[run(0.7)]))
    assert text.count("## fights") == 1
    assert text.count("- small") == 1


def test_another_manifest_is_another_table() -> None:
    other = record(gru=[run(0.7)])
    other["models"]["gru"]["runs"][0] |= OTHER_MANIFEST
    assert page(a=record(cnn=[run(0.5)]), b=other).count("## fights") == 2


def test_other_folds_are_another_table() -> None:
    protocol = {"split": "folds", "folds": 5}
    found = {name: record(protocol=protocol, gru=[run(0.6, split="folds")]) for name in "ab"}
    for name, one in found.items():
        one["models"]["gru"]["runs"][0]["tags"]["folds_key"] = name * 64
    assert page(**found).count("## fights") == 2


def test_a_run_with_one_source_has_no_interval() -> None:
    one = run(0.7)
    one["metrics"] = {n: v for n, v in one["metrics"].items() if not n.endswith(("_low", "_high"))}
    assert "interval" not in rows(page(a=record(gru=[one])))[0]


@pytest.mark.parametrize("other", [{"record": "speed"}, {"seconds": 3}, [1, 2]])
def test_files_of_another_kind_are_left_alone(other: Any) -> None:
    assert parse_record(json.dumps(other), file="x.json") is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"version": 2}, "x.json has version 2"),
        ({"models": {"gru": {"kind": "network", "runs": [{"seeds": [0]}]}}}, "x.json lacks"),
        ({"models": {"gru": {"kind": "net", "runs": [run(0.5)]}}}, "kind 'net': use one of"),
        ({"protocol": {"split": "val", "group": None, "folds": 1}}, "x.json lacks.*val/accuracy"),
        (
            {"models": {"gru": {"kind": "network", "runs": [run(0.5), run(0.6)]}}},
            r"runs of seeds \[0, 0\], and each counts once",
        ),
        (
            {
                "models": {
                    "a": {"kind": "network", "runs": [run(0.5)]},
                    "b": {"kind": "network", "runs": [run(0.5) | OTHER_MANIFEST]},
                }
            },
            "not measured on the same manifest",
        ),
        (
            {
                "models": {
                    "a": {"kind": "network", "runs": [run(0.5) | ON_FOLDS["1"]]},
                    "b": {"kind": "classical", "runs": [run(0.5) | ON_FOLDS["2"]]},
                }
            },
            r"not measured on the same folds \(keys 1, 2\)",
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
