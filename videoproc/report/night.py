"""What one night did, as a record that outlives it: the report is made from it, and from those of
the nights before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from videoproc import storage
from videoproc.storage import Anywhere
from videoproc.types import Row

DONE, NOTHING_NEW, FAILED = "done", "nothing new", "failed"
FOLDER = "nights"
"""In the dataset: a record and a page a night."""

PAGE, RECORD = "report.html", "night.json"
"""The same as artifacts of the night's run."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Videos that failed tonight for one reason, with one of them as an example."""

    stage: str
    error_class: str
    count: int
    message: str
    example_uri: str


@dataclass(frozen=True, kw_only=True)
class ModelResult:
    """A model after the night. metrics: of the test split, by name without `test/`."""

    model: str
    run_id: str
    monitor: str
    trained_tonight: bool
    metrics: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Night:
    """One night. Counts are of videos unless they say otherwise; times are seconds of wall clock.

    changes: new, changed, moved, relabelled, deleted, unchanged; named: some of them by name.
    phases: wall time of each job. busy_s: for how long extract had work for the cores. seconds:
    worker time of extract and predict by step; idle_s: core time that was waited meanwhile.
    pictured: ids of the videos whose frames the page shows.
    """

    started: str  # ISO 8601, UTC
    dataset: str
    code_version: str
    run_id: str = ""
    outcome: str = DONE
    error: str | None = None
    elapsed_s: float = 0.0
    videos: int = 0
    hours: float = 0.0
    files_read: int = 0
    unreadable: int = 0
    changes: Mapping[str, int] = field(default_factory=dict)
    named: Sequence[str] = ()
    videos_decoded: int = 0
    hours_decoded: float = 0.0
    clips: int = 0
    vectors: int = 0
    predictions: int = 0
    failures: Sequence[Failure] = ()
    quarantine: Mapping[str, int] = field(default_factory=dict)
    cores: int = 0
    busy_s: float = 0.0
    seconds: Mapping[str, float] = field(default_factory=dict)
    idle_s: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict)
    models: Sequence[ModelResult] = ()
    pictured: Sequence[str] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> Night:
        """A record of this or an older form: what it does not know has its default."""
        values = _known(cls, json.loads(text))
        for name in ("pictured", "named"):
            values[name] = tuple(values.get(name, ()))
        for name, kind in (("failures", Failure), ("models", ModelResult)):
            values[name] = tuple(kind(**_known(kind, one)) for one in values.get(name, ()))
        return cls(**values)


def failures_of(rows: Iterable[Row]) -> list[Failure]:
    """Failed rows by stage and class of error, the most frequent first."""
    rows = list(rows)
    counts = Counter((row["stage"], row["error_class"]) for row in rows)
    examples = {(row["stage"], row["error_class"]): row for row in reversed(rows)}
    return [
        Failure(
            stage=stage,
            error_class=error_class,
            count=count,
            message=examples[stage, error_class]["message"],
            example_uri=examples[stage, error_class]["uri"],
        )
        for (stage, error_class), count in counts.most_common()
    ]


def save(data: Anywhere, night: Night, page: str) -> Anywhere:
    """Keep a night's record and page in its dataset; where the page is."""
    name = night.started.replace(":", "").replace("+0000", "Z")
    storage.write_whole(data / FOLDER / f"{name}.json", night.to_json().encode())
    storage.write_whole(data / FOLDER / f"{name}.html", page.encode())
    return data / FOLDER / f"{name}.html"


def earlier(data: Anywhere, *, most: int | None) -> list[Night]:
    """The last nights of a dataset, or all of them; oldest first."""
    files = [f.path for f in storage.files_below(data / FOLDER) if f.path.suffix == ".json"]
    return [
        Night.from_json(path.read_text()) for path in (files if most is None else files[-most:])
    ]


def _known(cls: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {item.name for item in fields(cls)}
    return {name: value for name, value in values.items() if name in names}
