from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from videoproc.report.night import ModelResult, Night, earlier, failures_of, save


def night(**known: object) -> Night:
    return Night(
        **{"started": "2026-03-01T02:00:00+00:00", "dataset": "d", "code_version": "1"} | known
    )  # type: ignore[arg-type]


def failed(error_class: str, uri: str, stage: str = "decode") -> dict[str, str]:
    return {
        "stage": stage,
        "error_class": error_class,
        "message": f"{error_class} said",
        "uri": uri,
    }


def test_a_record_reads_back_as_it_was() -> None:
    model = ModelResult(
        model="cnn", run_id="r", monitor="accuracy", trained_tonight=True, metrics={"accuracy": 0.5}
    )
    written = night(
        failures=failures_of([failed("Truncated", "a")]), models=[model], changes={"new": 2}
    )
    assert Night.from_json(written.to_json()) == written


def test_a_record_of_an_older_or_newer_form_still_reads() -> None:
    values = asdict(night(videos=3)) | {"unknown": 1}
    del values["clips"]
    assert Night.from_json(json.dumps(values)) == night(videos=3, failures=[], models=[])


def test_failures_are_counted_by_stage_and_class_the_most_frequent_first() -> None:
    rows = [failed("A", "1"), failed("B", "2"), failed("B", "3"), failed("B", "4", "index")]
    found = [(f.stage, f.error_class, f.count, f.example_uri) for f in failures_of(rows)]
    assert found == [("decode", "B", 2, "2"), ("decode", "A", 1, "1"), ("index", "B", 1, "4")]


def test_nights_come_back_oldest_first_and_no_more_than_asked_for(tmp_path: Path) -> None:
    assert earlier(tmp_path, most=3) == []
    for day in (3, 1, 2):
        page = save(tmp_path, night(started=f"2026-03-0{day}T02:00:00+00:00"), "<p>page</p>")
        assert page.read_text() == "<p>page</p>"
    assert [one.started[8:10] for one in earlier(tmp_path, most=2)] == ["02", "03"]
