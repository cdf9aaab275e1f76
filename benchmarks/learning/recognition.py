"""The accuracy table: networks, classifiers of features and baselines on the same folds.

    python -m benchmarks.learning.recognition --source CORPUS/groups.csv --work F \
        --name surveillance_fights

Indexes and extracts the corpus, cross-validates each row of recognition.yaml by source and at
random, and keeps a record of either protocol in benchmarks/results, of which
`python -m pipelines.leaderboard` makes the table. A row with `members` is what those rows answer
together. What is done already is not done again: give the same command after it was cut off.
Nothing is typed in: all figures are of the MLflow runs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from jsonargparse import ArgumentParser

from pipelines import cli
from pipelines.cross_validate import CrossValidateConfig, cross_validate, prepare
from pipelines.ensemble import EnsembleConfig, ensemble
from pipelines.extract import ExtractConfig, extract
from pipelines.index import IndexConfig, index
from pipelines.measuring_folds import BY_FOLD, read_sets
from videoproc import runlog, storage
from videoproc.learning.classical import CLASSIFIERS
from videoproc.learning.pooling import FOLDS
from videoproc.learning.scored import Scored, select
from videoproc.models import MODELS, build_model, model_config
from videoproc.models.cost import cost
from videoproc.report.leaderboard import RECORD, RECORD_VERSION
from videoproc.report.progress import say
from videoproc.runtime.shared_folder import held
from videoproc.tables import Dataset
from videoproc.tasks import select_task

RESULTS = Path(__file__).parents[1] / "results"
SETTINGS = Path(__file__).with_name("recognition.yaml")
PROTOCOLS = {"by_source": "group", "at_random": "video"}
REST = "accuracy_of_rest"
KEPT = ("code_version", "manifest_digest", "folds_key", "version.torch")

Settings = Mapping[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--source", required=True, help="the corpus, as for pipelines.index")
    parser.add_argument("--work", required=True, help="a folder for the dataset")
    parser.add_argument("--name", required=True, help="of the dataset in the table")
    parser.add_argument("--settings", type=Path, default=SETTINGS)
    parser.add_argument("--protocols", nargs="+", default=list(PROTOCOLS), choices=PROTOCOLS)
    parser.add_argument("--only", nargs="+", help="rows; the record keeps the others")
    parser.add_argument(
        "--inline", action="store_true", help="fold by fold in this process: rows side by side"
    )
    arguments = parser.parse_args()
    settings = yaml.safe_load(arguments.settings.read_text())
    data = str(cli.absolute(f"{arguments.work}/{arguments.name}"))
    make_dataset(settings, source=arguments.source, data=data)
    measure_rows(settings, arguments, data=data)


def measure_rows(settings: Settings, arguments: argparse.Namespace, *, data: str) -> None:
    """Ensembles come after all others, of which they are made."""
    rows = arguments.only or settings["rows"]
    for row in sorted(rows, key=lambda row: "members" in settings["rows"][row]):
        for protocol in arguments.protocols:
            found = row_record(
                settings, row, data=data, by=PROTOCOLS[protocol], inline=arguments.inline
            )
            keep(found, row, settings, protocol=protocol, name=arguments.name)


def make_dataset(settings: Settings, *, source: str, data: str) -> None:
    """Index and extract; where that is done already it takes a moment."""
    index(parsed(IndexConfig, {"data": data, "source": source} | settings["index"]))
    extract(parsed(ExtractConfig, {"data": data} | settings["extract"]))


def row_record(settings: Settings, row: str, *, data: str, by: str, inline: bool) -> dict[str, Any]:
    """What the run of a row has measured; it is made where there is none yet."""
    if "members" not in settings["rows"][row]:
        config = replace(row_config(settings, row, data=data, by=by), inline=inline)
        return model_record(measured(config), config, settings)
    members = [
        row_record(settings, member, data=data, by=by, inline=inline)
        for member in members_of(settings, row)
    ]
    ids = [member["runs"][0]["run"] for member in members]
    run_id = ensemble(EnsembleConfig(data=data, runs=",".join(ids)))
    return ensemble_record(runlog.open_run(run_id, workspace=cli.workspace()), members, settings)


def members_of(settings: Settings, row: str) -> list[str]:
    own, rows = settings["rows"][row], settings["rows"]
    if other := sorted(own.keys() - {"members"}):
        raise ValueError(f"row {row} has members and {other[0]}: leave that out")
    for member in own["members"]:
        if "model" not in rows.get(member, {}):
            raise ValueError(f"row {row} has member {member!r}: name rows that have a model")
    return list(own["members"])


def row_config(settings: Settings, row: str, *, data: str, by: str) -> CrossValidateConfig:
    own = dict(settings["rows"][row])
    values = {"data": data, "folds": settings["folds"] | {"by": by}} | own
    if own["model"] in MODELS:
        values |= {"loop": settings["loop"] | own.get("loop", {})}
    return parsed(CrossValidateConfig, values)


def parsed(kind: type, values: Settings) -> Any:
    """A config as the command line makes it of a file."""
    parser = ArgumentParser()
    parser.add_class_arguments(kind, "config")
    return parser.instantiate_classes(parser.parse_object({"config": dict(values)})).config


def measured(config: CrossValidateConfig) -> runlog.Run:
    """The run of a cross-validation, of before or new."""
    workspace, prepared = cli.workspace(), prepare(config)
    tags = {"job": "cross_validate", "cross_validation_key": prepared.key}
    found = runlog.find_run(data=prepared.dataset.folder, workspace=workspace, tags=tags)
    if found is None:
        return runlog.open_run(cross_validate(config), workspace=workspace)
    say("recognition", f"{config.model}: done by run {found.run_id}")
    return found


def keep(
    found: Settings,
    row: str,
    settings: Settings,
    *,
    protocol: str,
    name: str,
) -> None:
    """Put a row into the record of its protocol, in place of what it had there."""
    path = RESULTS / f"recognition_{name}_{protocol}.json"
    with held(cli.workspace() / "records", wait=True):  # rows may be measured side by side
        before = json.loads(path.read_text())["models"] if path.is_file() else {}
        record = table_record(before | {row: found}, settings, protocol=protocol, name=name)
        content = json.dumps(record, indent=2, ensure_ascii=False) + "\n"
        storage.write_whole(path, content.encode())


def table_record(
    models: Settings, settings: Settings, *, protocol: str, name: str
) -> dict[str, Any]:
    by_source = protocol == "by_source"
    return {
        "record": RECORD,
        "version": RECORD_VERSION,
        "dataset": name,
        "command": "python -m benchmarks.learning.recognition --source CORPUS --work F "
        f"--name {name}",
        "notes": settings["notes"],
        "protocol": {
            "split": FOLDS,
            "group": settings["index"]["split"]["group"] if by_source else None,
            "folds": settings["folds"]["count"],
        },
        "metric": "accuracy",
        "maximise": True,
        "machine": {"cores": os.cpu_count(), "machine": platform.machine()},
        "also": {REST: settings["leave_out"]["title"]} if "leave_out" in settings else {},
        "models": {name: models[name] for name in settings["rows"] if name in models},
        "baselines": {},
    }


def model_record(
    run: runlog.Run, config: CrossValidateConfig, settings: Settings
) -> dict[str, Any]:
    found = run_record(run, settings)
    return {
        "kind": kind_of(config.model),
        **costs(config),
        "clips_per_second": clips_per_second(found["by_fold"]),
        "runs": [found],
    }


def ensemble_record(
    run: runlog.Run, members: Sequence[Settings], settings: Settings
) -> dict[str, Any]:
    seeds = sorted({seed for member in members for seed in member["runs"][0]["seeds"]})
    return {
        "kind": "ensemble",
        **costs_of_all(members),
        "runs": [run_record(run, settings) | {"seeds": seeds}],
    }


def costs_of_all(members: Sequence[Settings]) -> dict[str, Any]:
    """Of one clip that all answer for; each seed of a member is a model of its own."""
    trained = [(member, len(member["runs"][0]["seeds"])) for member in members]
    sums = {
        name: sum(member[name] * seeds for member, seeds in trained if name in member)
        for name in ("parameters", "multiply_adds")
        if any(name in member for member in members)
    }
    if any(member["clips_per_second"] is None for member in members):
        return sums | {"clips_per_second": None}
    seconds = sum(seeds / member["clips_per_second"] for member, seeds in trained)
    return sums | {"clips_per_second": 1 / seconds}


def run_record(run: runlog.Run, settings: Settings) -> dict[str, Any]:
    metrics = {name: value for name, value in run.metrics.items() if name.startswith(f"{FOLDS}/")}
    by_fold = run.read_json(BY_FOLD)
    if "leave_out" in settings:
        of_rest = [rest(scored, settings["leave_out"]) for scored in read_sets(run)]
        metrics[f"{FOLDS}/{REST}"] = float(np.mean(of_rest))
    return {
        "run": run.run_id,
        "seeds": sorted({fold["seed"] for fold in by_fold}),
        "train_s": sum(fold["learn_seconds"] for fold in by_fold),
        "tags": {name: value for name, value in run.tags.items() if name in KEPT},
        "metrics": metrics,
        "by_fold": by_fold,
    }


def rest(scored: Scored, left_out: Settings) -> float:
    """The accuracy without the clips whose header gives them away."""
    kept = [
        index
        for index, row in enumerate(scored.about)
        if row["label"] != left_out["label"] or row["resolution"] not in left_out["resolutions"]
    ]
    scores = select(scored.scores, np.array(kept))
    return select_task(scored.task).metrics.summarise(scores, scored.spec)["accuracy"]


def kind_of(model: str) -> str:
    if model in MODELS:
        return "network"
    return "classical" if model in CLASSIFIERS else "baseline"


def costs(config: CrossValidateConfig) -> dict[str, int]:
    """Of one clip; nothing of what is no network."""
    if config.model not in MODELS:
        return {}
    recipe = Dataset(folder=cli.absolute(config.data)).recipe
    num_frames = recipe.sampling.frames_per_clip
    assert num_frames is not None
    frame_shape = (num_frames, recipe.size.height, recipe.size.width, 3)
    segments = config.loop.segments
    taken = (segments.count or num_frames, *frame_shape[1:])
    settings = model_config(config.model, config.model_settings)
    model = build_model(config.model, settings, num_outputs=2, frame_shape=taken)
    of = cost(model, taken)  # of each of the choices of frames that make an answer
    return {"parameters": of.parameters, "multiply_adds": of.multiply_adds * segments.answers}


def clips_per_second(by_fold: Sequence[Settings]) -> float | None:
    """That are answered, decoding left out; None where no time is known."""
    seconds = sum(fold["answer_seconds"] for fold in by_fold)
    return sum(fold["clips"] for fold in by_fold) / seconds if seconds else None


if __name__ == "__main__":
    main()
