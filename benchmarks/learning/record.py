"""Keep what `nightly` measured on a dataset: a record in benchmarks/results, a table to read.

    python -m benchmarks.learning.record --data workspace/demo --name demo --command "make demo"

Everything but the command and the notes is read from the MLflow runs; nothing is measured or
typed in here. Then `python -m pipelines.leaderboard` puts it on docs/leaderboard.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from pathlib import Path
from typing import Any

import torch

from pipelines import cli
from videoproc import runlog
from videoproc.learning import checkpoint, vector_card
from videoproc.models.cost import cost
from videoproc.report.leaderboard import RECORD, RECORD_VERSION
from videoproc.report.table import side_by_side
from videoproc.tasks import select_task

RESULTS = Path(__file__).parents[1] / "results"
PAIRS = (("left", "right"), ("up", "down"), ("approach", "recede"))
SPLIT = "test"
BASELINES = ("header_only", "majority")
KEPT = ("code_version", "manifest_digest", "clips.train", "clips.val", "version.torch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True)
    parser.add_argument("--name", required=True, help="of the dataset and of the record's file")
    parser.add_argument("--command", required=True, help="what made the runs, to make them again")
    parser.add_argument("--note", action="append", default=[], help="what to know of the figures")
    parser.add_argument("--models", nargs="+", default=["cnn", "cnn_gru"])
    arguments = parser.parse_args()
    data, workspace = cli.absolute(arguments.data), cli.workspace()
    runs = {model: _newest(data, workspace, model) for model in arguments.models}
    record = make_record(
        runs, workspace=workspace, data=data, name=arguments.name, command=arguments.command
    )
    record["notes"] = arguments.note
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{arguments.name}.json"
    path.write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    print(side_by_side({m: found["runs"][0]["metrics"] for m, found in record["models"].items()}))


def make_record(
    runs: dict[str, runlog.Run], *, workspace: Path, data: Path, name: str, command: str
) -> dict[str, Any]:
    """The record of one finished, evaluated run a model (see `videoproc.report.leaderboard`)."""
    task = select_task(next(iter(runs.values())).tags["task"])
    models = {
        model: {
            "kind": "classical"
            if vector_card.is_in(run.checkpoint_folder(workspace))
            else "network",
            **_costs(run, workspace),
            "runs": [_run(run)],
        }
        for model, run in runs.items()
    }
    metric = task.metrics.MONITOR
    metrics = next(iter(runs.values())).metrics
    baselines = {
        name: {metric: metrics[f"{SPLIT}/{name}_{metric}"]}
        for name in BASELINES
        if f"{SPLIT}/{name}_{metric}" in metrics
    }
    return {
        "record": RECORD,
        "version": RECORD_VERSION,
        "dataset": name,
        "command": command,
        "notes": [],
        "protocol": {"split": SPLIT, "group": _group(data, workspace), "folds": 1},
        "metric": metric,
        "maximise": task.metrics.MAXIMISE,
        "machine": {"cores": os.cpu_count(), "machine": platform.machine()},
        "models": models,
        "baselines": baselines,
    }


def _newest(data: Path, workspace: Path, model: str) -> runlog.Run:
    run = runlog.find_run(data=data, workspace=workspace, tags={"job": "train", "model": model})
    assert run is not None, f"no finished run of {model} on {data}: run pipelines.nightly first"
    return run


def _group(data: Path, workspace: Path) -> str | None:
    """What the newest index of the dataset kept on one side of the split."""
    processing = data.with_name(f"{data.name}-processing")
    tags = {"job": "index", "data": str(data)}
    indexed = runlog.find_run(data=processing, workspace=workspace, tags=tags)
    assert indexed is not None, f"no finished run of index on {data}"
    group = indexed.params["split.group"]
    return None if group == "None" else group


def _is_classical(run: runlog.Run, workspace: Path) -> bool:
    return vector_card.is_in(run.checkpoint_folder(workspace))


def _costs(run: runlog.Run, workspace: Path) -> dict[str, int]:
    """Nothing of what has no weights, as a forest."""
    if _is_classical(run, workspace):
        return {}
    folder = run.checkpoint_folder(workspace)
    model, card = checkpoint.load(folder, device=torch.device("cpu"))
    of = cost(model, card.frame_shape)
    return {"parameters": of.parameters, "multiply_adds": of.multiply_adds}


def _run(run: runlog.Run) -> dict[str, Any]:
    confusion = run.read_json(f"{SPLIT}/confusion_matrix.json")
    pairs = (
        {f"{SPLIT}/told_apart_within_pairs": told_apart(confusion)}
        if {label for pair in PAIRS for label in pair} <= set(confusion["classes"])
        else {}
    )
    return {
        "run": run.run_id,
        "seeds": [int(run.params.get("loop.seed") or run.params["seed"])],
        "train_s": run.duration_s,
        "tags": {name: value for name, value in run.tags.items() if name in KEPT},
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
