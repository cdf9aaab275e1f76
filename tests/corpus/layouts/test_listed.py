"""What every list of videos has in common, whatever it is written in."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from videoproc import storage
from videoproc.corpus.layouts import LAYOUTS, Entry
from videoproc.types import UserError

ROWS = [
    {"file": "in/a.mp4", "labels": ["up", "loud"], "split": "train", "camera": "7"},
    {"file": "../b.mp4", "labels": ["down"], "split": "test", "camera": "8"},
    {"file": "/abs/c.mp4", "labels": [], "split": "", "camera": "8"},
]


def _write_csv(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(row | {"labels": ";".join(row.get("labels", ()))} for row in rows)


def _write_jsonl(path: Path, rows: list[dict]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def _write_parquet(path: Path, rows: list[dict]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


WRITERS = {"csv": _write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}


@pytest.fixture(params=WRITERS)
def layout(request) -> str:
    return request.param


def _write(folder: Path, layout: str, rows: list[dict]) -> Path:
    path = folder / f"videos.{layout}"
    WRITERS[layout](path, rows)
    return path


def test_an_address_is_taken_as_it_is(tmp_path, layout):
    url = "https://user@host/a%20b/..%2Fc.mp4?key=a/../b&x=1;2#t"
    rows = [{"file": url, "labels": ["up"]}, {"file": "s3://bucket/a b/50% #1?.mp4", "labels": []}]
    entries = LAYOUTS[layout](_write(tmp_path, layout, rows))
    assert [entry.uri for entry in entries] == [url, "s3://bucket/a b/50% #1?.mp4"]


def test_a_list_of_a_web_server_names_files_beside_it(tmp_path, layout, web):
    path = _write(tmp_path, layout, [{"file": "in/a #1.mp4", "labels": []}])
    url = web.put(f"/lists/{path.name}", path.read_bytes())
    assert [e.uri for e in LAYOUTS[layout](storage.at(url))] == [
        f"{web.address}/lists/in/a%20%231.mp4"
    ]


def test_the_same_rows_give_the_same_entries_in_every_list(tmp_path, layout):
    entries = LAYOUTS[layout](_write(tmp_path, layout, ROWS))
    assert [(e.uri, e.labels, e.split, e.columns["camera"]) for e in entries] == [
        (f"{tmp_path}/in/a.mp4", ("loud", "up"), "train", "7"),
        (f"{tmp_path.parent}/b.mp4", ("down",), "test", "8"),
        ("/abs/c.mp4", (), None, "8"),
    ]


def test_a_list_in_an_object_store_names_videos_beside_it(tmp_path, layout, bucket):
    source = storage.at(f"{bucket}/lists/videos.{layout}")
    source.write_bytes(_write(tmp_path, layout, ROWS[:2]).read_bytes())
    assert [entry.uri for entry in LAYOUTS[layout](source)] == [
        f"{bucket}/lists/in/a.mp4",
        f"{bucket}/b.mp4",
    ]


def test_a_uri_stands_as_it_is(tmp_path, layout):
    rows = [ROWS[0] | {"file": "s3://bucket/a.mp4"}]
    assert LAYOUTS[layout](_write(tmp_path, layout, rows))[0].uri == "s3://bucket/a.mp4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"split": "validation"}, "has the split 'validation'; give train, val, test or nothing"),
        ({"file": " "}, "has nothing under 'file'; give a path or remove the row"),
    ],
)
def test_a_bad_row_is_refused_with_its_place_value_and_remedy(tmp_path, layout, change, message):
    source = _write(tmp_path, layout, [*ROWS, ROWS[0] | change])
    place = {"csv": "line 5", "jsonl": "line 4", "parquet": "row 4"}[layout]
    with pytest.raises(UserError, match=rf"{place} of '{source}' {message}"):
        LAYOUTS[layout](source)


def test_a_list_without_a_column_of_paths_names_those_that_it_has(tmp_path, layout):
    source = _write(tmp_path, layout, [{"name": "a.mp4", "labels": ["up"]}])
    message = rf"{source}' has the columns name, labels, none of which is file, uri, path"
    with pytest.raises(UserError, match=message):
        LAYOUTS[layout](source)


def test_a_list_that_is_not_there_is_named(tmp_path, layout):
    with pytest.raises(UserError, match=r"nowhere' is not a file; give the "):
        LAYOUTS[layout](tmp_path / "nowhere")


def test_an_entry_of_several_labels_has_no_single_one():
    assert Entry(uri="a", labels=("down", "up")).label is None
