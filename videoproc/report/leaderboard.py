"""Records of measured models as tables: one a dataset and protocol, no row without a record.

A record is a JSON file:

    {"record": "models", "version": 2,
     "dataset": name, "command": what made the runs, "notes": [what to know of the figures],
     "protocol": {"split": "test", "group": what keeps videos together or null, "folds": 1},
     "metric": "accuracy", "maximise": true, "machine": {...},
     "models": {name: {"parameters": int or null,
                       "runs": [{"run": id, "seed": 0, "fold": 0, "train_s": s,
                                 "tags": {"manifest_digest": ..., ...},
                                 "metrics": {"test/accuracy": ..., "test/clips": ...}, ...}]}},
     "baselines": {name: {"accuracy": ...}}}

Files with another "record" are no business of this page's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from videoproc.types import UserError

RECORD = "models"
RECORD_VERSION = 2
HEAD = """# Leaderboard

Written by `python -m pipelines.leaderboard` from the records in `benchmarks/results/`; do not edit
it by hand: `--check` refuses a row that no record gives. Only rows of one table compare: they were
measured on the same videos, split the same way. An interval is the 95 % one, resampled by source;
where a model was trained more than once, the figure is the mean and the range is that of the runs.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table; `key` is what it stands for whatever its figures are."""

    key: tuple[str, str, str]  # title of the table, model or baseline, file of the record
    value: float
    line: str


def parse_record(text: str, *, file: str) -> dict[str, Any] | None:
    """A record that is whole; None for a file of another kind; a UserError names what is amiss."""
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"record {file} is no JSON: {error}") from error
    if not isinstance(record, dict) or record.get("record", RECORD) != RECORD:
        return None
    if "record" not in record and "models" not in record:
        return None
    if record.get("version") != RECORD_VERSION:
        raise UserError(
            f"record {file} has version {record.get('version')!r} and this code reads "
            f"{RECORD_VERSION}: write it anew with `python -m benchmarks.learning.record`"
        )
    try:
        _check(record, file)
    except (KeyError, TypeError, AttributeError) as error:
        raise UserError(f"record {file} lacks or garbles a field: {error!r}") from error
    return record


def _check(record: Mapping[str, Any], file: str) -> None:
    split, metric = record["protocol"]["split"], record["metric"]
    for name in ("dataset", "command", "notes", "maximise", "baselines"):
        _ = record[name]
    digests = set()
    for model, found in record["models"].items():
        done = [(run["seed"], run["fold"]) for run in found["runs"]]
        seeds = {seed for seed, _ in done}
        wanted = sorted(product(sorted(seeds), range(record["protocol"]["folds"])))
        if not done or sorted(done) != wanted:
            raise UserError(
                f"record {file}: model {model!r} has runs of (seed, fold) {sorted(done)}, and each "
                f"seed needs each of {record['protocol']['folds']} folds once"
            )
        for run in found["runs"]:
            _ = run["run"], run["metrics"][f"{split}/{metric}"], run["metrics"][f"{split}/clips"]
        digests.add(tuple(sorted({run["tags"]["manifest_digest"] for run in found["runs"]})))
    if len(digests) > 1:
        raise UserError(f"record {file}: its models were not measured on the same manifest")


def render(records: Mapping[str, Mapping[str, Any]], *, link: str) -> str:
    """The page: records by file name; `link` is the way from the page to their folder."""
    tables: dict[str, list[Row]] = defaultdict(list)
    notes: dict[str, list[str]] = defaultdict(list)
    heads: dict[str, str] = {}
    for file, record in sorted(records.items()):
        title = _title(record)
        heads[title] = _head(record["metric"])
        tables[title] += _rows(record, title=title, file=file, link=link)
        notes[title] += [note for note in record["notes"] if note not in notes[title]]
    lines = [HEAD]
    for title, rows in tables.items():
        lines += [f"## {title}\n", heads[title], *(row.line for row in _best_first(rows, records))]
        lines += ["", *(f"- {note}" for note in notes[title]), *([""] if notes[title] else [])]
    return "\n".join(lines).rstrip() + "\n"


def _best_first(rows: Sequence[Row], records: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    sign = -1 if records[rows[0].key[2]]["maximise"] else 1
    return sorted(rows, key=lambda row: (sign * row.value, row.key))


def _title(record: Mapping[str, Any]) -> str:
    protocol = record["protocol"]
    group = f"`{protocol['group']}`" if protocol["group"] else "video"
    folds = f", {protocol['folds']} folds" if protocol["folds"] > 1 else ""
    run = next(iter(record["models"].values()))["runs"][0]
    return (
        f"{record['dataset']}: {record['metric']} on {protocol['split']}, split by {group}{folds} "
        f"(manifest {run['tags']['manifest_digest'][:8]})"
    )


def _head(metric: str) -> str:
    names = ["model", metric, "interval", "parameters", "clips", "seeds", "command", "record"]
    return _line(names) + "\n" + _line(["---"] * len(names))


def _rows(record: Mapping[str, Any], *, title: str, file: str, link: str) -> list[Row]:
    end = [f"`{record['command']}`", f"[{file}]({link}/{file})"]
    rows = []
    for model, found in record["models"].items():
        value, between, clips = _figures(found["runs"], record)
        seeds = ", ".join(str(seed) for seed in sorted({run["seed"] for run in found["runs"]}))
        parameters = found.get("parameters")
        cells = [
            f"`{model}`",
            f"{value:.3f}",
            between,
            "" if parameters is None else f"{parameters:,}",
            f"{clips}",
            seeds,
            *end,
        ]
        rows.append(Row(key=(title, cells[0], file), value=value, line=_line(cells)))
    for name, metrics in record["baselines"].items():
        value = metrics[record["metric"]]
        cells = [f"{name} (baseline)", f"{value:.3f}", "", "", "", "", *end]
        rows.append(Row(key=(title, cells[0], file), value=value, line=_line(cells)))
    return rows


def _figures(
    runs: Sequence[Mapping[str, Any]], record: Mapping[str, Any]
) -> tuple[float, str, int]:
    """Mean, interval or range, and the clips that each seed was measured on."""
    name = f"{record['protocol']['split']}/{record['metric']}"
    clips = f"{record['protocol']['split']}/clips"
    values = [run["metrics"][name] for run in runs]
    first = runs[0]["metrics"]
    between = ""
    if len(runs) > 1:
        between = f"runs {min(values):.3f} to {max(values):.3f}"
    elif f"{name}_low" in first:
        between = f"{first[f'{name}_low']:.3f} to {first[f'{name}_high']:.3f}"
    of_one_seed = [run for run in runs if run["seed"] == runs[0]["seed"]]
    total = sum(int(run["metrics"][clips]) for run in of_one_seed)
    return sum(values) / len(values), between, total


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def fault(on_disk: str, rendered: str) -> str | None:
    """What is wrong with a page, naming the row; None where it is what the records give."""
    if on_disk == rendered:
        return None
    wanted = dict(_keyed_lines(rendered))
    found = _keyed_lines(on_disk)
    for key, line in found:
        if key not in wanted:
            return f"row {_said(key)} has no record behind it"
        if line != wanted[key]:
            return f"row {_said(key)} is not what its record gives"
    for key in wanted.keys() - {key for key, _ in found}:
        return f"row {_said(key)} is missing"
    return "a line that is no row, or the order of rows, is not what the records give"


def _keyed_lines(page: str) -> list[tuple[tuple[str, str, str], str]]:
    title, keyed = "", []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        if line.startswith("#"):
            title = line.lstrip("# ")
        elif line.lstrip().startswith("|") and cells[0] not in ("model", "---"):
            keyed.append(((title, cells[0], cells[-1]), line))
    return keyed


def _said(key: tuple[str, str, str]) -> str:
    title, name, record = key
    return f"{name} of {title!r}, record {record},"
