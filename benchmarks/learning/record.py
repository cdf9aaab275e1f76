"""Keep what `nightly` measured on a dataset: a record in benchmarks/results, a table to read.

    python -m benchmarks.learning.record --data workspace/demo --name demo

Everything is read from the MLflow runs; nothing is measured or typed in here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

from pipelines import cli
from videoproc import runlog
from videoproc.report.table import side_by_side

RESULTS = Path(__file__).parents[1] / "results"
PAIRS = (("left", "right"), ("up", "down"), ("approach", "recede"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--models", nargs="+", default=["cnn", "cnn_gru"])
    arguments = parser.parse_args()
    data, workspace = cli.absolute(arguments.data), cli.workspace()
    records = {model: _record(data, workspace, model) for model in arguments.models}
    machine = {"cores": os.cpu_count(), "machine": platform.machine()}
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{arguments.name}.json"
    path.write_text(json.dumps({"machine": machine, "models": records}, indent=2) + "\n")
    print(side_by_side({model: record["metrics"] for model, record in records.items()}))


def _record(data: Path, workspace: Path, model: str) -> dict[str, Any]:
    run = runlog.find_run(data=data, workspace=workspace, tags={"job": "train", "model": model})
    assert run is not None, f"no finished run of {model} on {data}: run pipelines.nightly first"
    kept = ("code_version", "manifest_digest", "clips.train", "clips.val", "version.torch")
    confusion = run.read_json("test/confusion_matrix.json")
    pairs = (
        {"test/told_apart_within_pairs": told_apart(confusion)}
        if {label for pair in PAIRS for label in pair} <= set(confusion["classes"])
        else {}
    )
    return {
        "run": run.run_id,
        "train_s": run.duration_s,
        "tags": {name: value for name, value in run.tags.items() if name in kept},
        "metrics": run.metrics | pairs,
        "confusion": confusion,
    }


def told_apart(confusion: dict[str, Any]) -> float:
    """For the synthetic corpus: of the clips put into the right pair, the share put right.

    Within a pair only the order of frames differs, so a model without it stays at one half.
    """
    classes, matrix = confusion["classes"], confusion["rows_true_columns_predicted"]
    right = total = 0
    for pair in PAIRS:
        indices = [classes.index(label) for label in pair]
        total += sum(matrix[i][j] for i in indices for j in indices)
        right += sum(matrix[i][i] for i in indices)
    return right / max(1, total)


if __name__ == "__main__":
    main()
