"""Records of measured models as tables: one a dataset and protocol, no row without a record.

A record is a JSON file:

    {"record": "models", "version": 3,
     "dataset": name, "command": what made the runs, "notes": [what to know of the figures],
     "protocol": {"split": "test" or "folds", "group": what keeps videos together or null,
                  "folds": 1},
     "metric": "accuracy", "maximise": true, "machine": {...},
     "also": {metric: the title of its column},
     "models": {name: {"kind": one of KINDS, "command": its own or none,
                       "parameters": int or null, "multiply_adds": of a clip or null,
                       "clips_per_second": answered, or null,
                       "runs": [{"run": id, "seeds": [0], "train_s": s,
                                 "tags": {"manifest_digest": ..., ...},
                                 "metrics": {"test/accuracy": ..., "test/clips": ...}, ...}]}},
     "baselines": {name: {"accuracy": ...}}}

A run of a cross-validation has all its folds and seeds in its metrics, which are then means.
Files with another "record" are no business of this page's.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from videoproc.types import UserError

RECORD = "models"
RECORD_VERSION = 3
KINDS = ("network", "classical", "baseline", "ensemble")
OVER_HEADER_ONLY = "over_header_only"  # a metric, with _low and _high, of evaluations
HEAD = """# Leaderboard

Written by `python -m pipelines.leaderboard` from the records in `benchmarks/results/`; do not edit
it by hand: `--check` refuses a row that no record gives. Only rows of one table compare: they were
measured on the same videos, split the same way. An interval is the 95 % one, resampled by source;
where a model was trained more than once, the figure is the mean over its seeds, and an ensemble's
is what all seeds of all members answer together. *Over header only* is what a model has more than
a forest that sees the files' headers and no pixel, on the same videos, with the interval of the
difference. *Clips/s* are answered on the record's machine, from
frames that are decoded or, by classifiers, from vectors that are made.
"""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table; `key` is what it stands for whatever its figures are."""

    key: tuple[str, str, str]  # title of the table, model or baseline, file of the record
    value: float
    cells: Mapping[str, str]  # by column


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
    digests, folds = set(), set()
    for model, found in record["models"].items():
        if found["kind"] not in KINDS:
            raise UserError(
                f"record {file}: model {model!r} is of kind {found['kind']!r}: use one of "
                f"{', '.join(KINDS)}"
            )
        seeds = [seed for run in found["runs"] for seed in run["seeds"]]
        if not seeds or len(set(seeds)) != len(seeds):
            raise UserError(
                f"record {file}: model {model!r} has runs of seeds {seeds}, and each counts once"
            )
        for run in found["runs"]:
            _ = run["run"], run["metrics"][f"{split}/{metric}"], run["metrics"][f"{split}/clips"]
            digests.add(run["tags"]["manifest_digest"])
            folds.add(run["tags"].get("folds_key"))
    if len(digests) > 1:
        raise UserError(f"record {file}: its models were not measured on the same manifest")
    if len(folds) > 1:
        raise UserError(
            f"record {file}: its models were not measured on the same folds (keys "
            f"{', '.join(sorted(map(str, folds)))}): measure all of them with the same folds.*"
        )


def render(
    records: Mapping[str, Mapping[str, Any]],
    *,
    link: str,
    pictures: Mapping[str, str] | None = None,
) -> str:
    """The page: records by file name; `link` is the way from the page to their folder, `pictures`
    those to the pictures of datasets."""
    left = dict(pictures or {})
    of_title: dict[str, dict[str, Mapping[str, Any]]] = defaultdict(dict)
    for file, record in sorted(records.items()):
        of_title[_title(record)][file] = record
    lines = [HEAD]
    for title, there in of_title.items():
        lines.append(f"## {title}\n")
        dataset = next(iter(there.values()))["dataset"]
        if (picture := left.pop(dataset, None)) is not None:  # above the first of its tables
            lines.append(f"![Models on {dataset}, with their intervals]({picture})\n")
        lines += [*_table(title, there, link=link), ""]
        notes = dict.fromkeys(note for record in there.values() for note in record["notes"])
        lines += [*(f"- {note}" for note in notes), *([""] if notes else [])]
    return "\n".join(lines).rstrip() + "\n"


def _table(title: str, records: Mapping[str, Mapping[str, Any]], *, link: str) -> list[str]:
    """Its lines; columns that no row has anything in are left out."""
    names = _columns(records)
    rows = [
        row
        for file, record in records.items()
        for row in _rows(record, title=title, file=file, link=link)
    ]
    used = [name for name in names if any(row.cells.get(name) for row in rows)]
    common = {row.cells["command"] for row in rows}
    if len(common) == 1:  # said once
        used.remove("command")
    lines = [f"By {common.pop()}:\n"] if len(common) == 1 else []
    lines += [_line(used), _line(["---"] * len(used))]
    for row in _best_first(rows, records):
        lines.append(_line([row.cells.get(name, "") for name in used]))
    return lines


def _columns(records: Mapping[str, Mapping[str, Any]]) -> list[str]:
    first = next(iter(records.values()))
    also = dict.fromkeys(
        title for record in records.values() for title in record.get("also", {}).values()
    )
    return [
        *("model", "kind", first["metric"], "interval", "over header only"),
        *also,
        *("parameters", "multiply-adds", "clips/s", "clips", "seeds", "command", "record"),
    ]


def _best_first(rows: Sequence[Row], records: Mapping[str, Mapping[str, Any]]) -> list[Row]:
    sign = -1 if records[rows[0].key[2]]["maximise"] else 1
    return sorted(rows, key=lambda row: (sign * row.value, row.key))


def _title(record: Mapping[str, Any]) -> str:
    protocol = record["protocol"]
    group = f"`{protocol['group']}`" if protocol["group"] else "video"
    folds = f", {protocol['folds']} folds" if protocol["folds"] > 1 else ""
    tags = next(iter(record["models"].values()))["runs"][0]["tags"]
    dealt = f", folds {tags['folds_key'][:8]}" if "folds_key" in tags else ""
    return (
        f"{record['dataset']}: {record['metric']} on {protocol['split']}, split by {group}{folds} "
        f"(manifest {tags['manifest_digest'][:8]}{dealt})"
    )


def _rows(record: Mapping[str, Any], *, title: str, file: str, link: str) -> list[Row]:
    metric, rows = record["metric"], []
    source = {"command": f"`{record['command']}`", "record": f"[{file}]({link}/{file})"}
    for model, found in record["models"].items():
        value = mean_of(found["runs"], record, metric)
        assert value is not None
        cells = source | _cells(model, found, record)
        rows.append(Row(key=(title, cells["model"], file), value=value, cells=cells))
    for name, metrics in record["baselines"].items():
        cells = source | {"model": name, "kind": "baseline", metric: f"{metrics[metric]:.3f}"}
        rows.append(Row(key=(title, name, file), value=metrics[metric], cells=cells))
    return rows


def _cells(model: str, found: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, str]:
    runs, metric = found["runs"], record["metric"]
    clips = runs[0]["metrics"][f"{record['protocol']['split']}/clips"]
    cells = {
        "model": f"`{model}`",
        "kind": found["kind"],
        metric: f"{mean_of(runs, record, metric):.3f}",
        "interval": _interval(runs, record),
        "over header only": _over_header_only(runs, record),
        "parameters": _counted(found.get("parameters")),
        "multiply-adds": _in_millions(found.get("multiply_adds")),
        "clips/s": _counted(found.get("clips_per_second")),
        "clips": f"{clips:.0f}",
        "seeds": ", ".join(str(seed) for seed in sorted(s for run in runs for s in run["seeds"])),
    }
    for name, title in record.get("also", {}).items():
        value = mean_of(runs, record, name)
        cells[title] = "" if value is None else f"{value:.3f}"
    return cells | ({"command": f"`{found['command']}`"} if found.get("command") else {})


def mean_of(
    runs: Sequence[Mapping[str, Any]], record: Mapping[str, Any], metric: str
) -> float | None:
    """Over the seeds; None where a run does not have it."""
    name = f"{record['protocol']['split']}/{metric}"
    if not all(name in run["metrics"] for run in runs):
        return None
    seeds = sum(len(run["seeds"]) for run in runs)
    return float(sum(run["metrics"][name] * len(run["seeds"]) for run in runs) / seeds)


def _interval(runs: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> str:
    """By source, of one run; of several the range of the runs."""
    name = f"{record['protocol']['split']}/{record['metric']}"
    values = [run["metrics"][name] for run in runs]
    if len(runs) > 1:
        return f"runs {min(values):.3f} to {max(values):.3f}"
    metrics = runs[0]["metrics"]
    known = f"{name}_low" in metrics
    return f"{metrics[f'{name}_low']:.3f} to {metrics[f'{name}_high']:.3f}" if known else ""


def _over_header_only(runs: Sequence[Mapping[str, Any]], record: Mapping[str, Any]) -> str:
    value = mean_of(runs, record, OVER_HEADER_ONLY)
    if value is None:
        return ""
    low, high = (mean_of(runs, record, f"{OVER_HEADER_ONLY}_{end}") for end in ("low", "high"))
    between = "" if len(runs) > 1 or low is None else f" ({low:+.3f} to {high:+.3f})"
    return f"{value:+.3f}{between}"


def _counted(number: float | None) -> str:
    return "" if number is None else f"{number:,.0f}"


def _in_millions(number: float | None) -> str:
    return "" if number is None else f"{number / 1e6:,.0f} M"


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
