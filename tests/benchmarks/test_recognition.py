"""The accuracy table's rows, of models and of what several answer together."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.learning import recognition
from videoproc import runlog
from videoproc.learning.scored import from_table
from videoproc.report.leaderboard import parse_record, render

SETTINGS: dict[str, Any] = {
    "index": {"split": {"group": "source"}},
    "folds": {"count": 3, "val_share": 0.5},
    "notes": ["small"],
    "rows": {
        "both": {"members": ["forest", "majority"]},
        "forest": {
            "model": "forest",
            "model_settings": {"trees": 5},
            "features": ["motion"],
            "inline": True,
        },
        "majority": {"model": "majority", "inline": True},
    },
    "leave_out": {"title": "without none", "label": "none", "resolutions": []},
}


def member(*, seeds: list[int], **costs: Any) -> dict[str, Any]:
    return {"runs": [{"seeds": seeds}]} | costs


@pytest.fixture
def data(extracted: Path, group_videos: Callable[[Path], Path]) -> str:
    return str(group_videos(extracted))


@pytest.mark.slow
def test_an_ensemble_is_made_after_its_members_and_stands_beside_them(
    data: str, tmp_path: Path, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognition, "RESULTS", tmp_path)
    arguments = argparse.Namespace(only=None, protocols=["by_source"], inline=True, name="small")
    recognition.measure_rows(SETTINGS, arguments, data=data)
    file = "recognition_small_by_source.json"
    record = parse_record((tmp_path / file).read_text(), file=file)
    assert record is not None
    assert list(record["models"]) == list(SETTINGS["rows"])
    ids = {name: found["runs"][0]["run"] for name, found in record["models"].items()}
    tables = {
        name: from_table(
            runlog.open_run(run_id, workspace=workspace).read_table("folds/scores.parquet")
        )
        for name, run_id in ids.items()
    }
    told = {name: table.scores["probabilities"] for name, table in tables.items()}
    assert told["both"] == pytest.approx((told["forest"] + told["majority"]) / 2, abs=1e-6)
    accuracy = float(np.mean(told["both"].argmax(1) == tables["both"].scores["target"]))
    row = next(line for line in render({file: record}, link=".").splitlines() if "`both`" in line)
    assert f"| `both` | ensemble | {accuracy:.3f} |" in row
    assert record["models"]["both"]["runs"][0]["metrics"][f"folds/{recognition.REST}"] == accuracy
    before = json.loads((tmp_path / file).read_text())
    arguments.only = ["both"]
    recognition.measure_rows(SETTINGS, arguments, data=data)
    assert json.loads((tmp_path / file).read_text()) == before, "nothing is done twice"


def test_an_ensemble_costs_what_all_its_networks_do() -> None:
    network = member(seeds=[0, 1], parameters=10, multiply_adds=100, clips_per_second=50.0)
    forest = member(seeds=[0], clips_per_second=100.0)
    found = recognition.costs_of_all([network, forest])
    assert (found["parameters"], found["multiply_adds"]) == (20, 200)
    assert found["clips_per_second"] == pytest.approx(1 / (1 / 50 + 1 / 50 + 1 / 100))


def test_what_is_not_known_of_a_member_is_not_said() -> None:
    forest, baseline = (member(seeds=[0], clips_per_second=speed) for speed in (100.0, None))
    assert recognition.costs_of_all([forest, baseline]) == {"clips_per_second": None}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"members": ["forest", "svm"]}, "row mixed has member 'svm': name rows that have a model"),
        ({"members": ["forest", "both"]}, "has member 'both'"),
        ({"members": ["forest"], "seeds": "0"}, "row mixed has members and seeds: leave that out"),
    ],
)
def test_a_row_of_members_names_rows_and_nothing_else(row: dict[str, Any], said: str) -> None:
    settings = SETTINGS | {"rows": SETTINGS["rows"] | {"mixed": row}}
    with pytest.raises(ValueError, match=said):
        recognition.members_of(settings, "mixed")
