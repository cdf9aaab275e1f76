"""A Parquet file that lists the videos."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from videoproc.corpus.layouts import LAYOUTS
from videoproc.types import UserError

list_videos = LAYOUTS["parquet"]


def test_plain_columns_are_kept_as_text_and_nested_or_binary_ones_are_not(tmp_path):
    day = datetime.date(2026, 3, 1)
    table = pa.table(
        {
            "uri": ["a.mp4", "b.mp4"],
            "label": [3, None],
            "day": [day, day],
            "vector": [[0.5], [1.5]],
            "thumbnail": [b"x", b"y"],
        }
    )
    pq.write_table(table, tmp_path / "videos.parquet")
    first, second = list_videos(tmp_path / "videos.parquet")
    assert first.columns == {"uri": "a.mp4", "label": "3", "day": "2026-03-01"}
    assert (first.labels, second.labels) == (("3",), ())


def test_a_folder_name_with_an_equals_sign_adds_no_column(tmp_path):
    folder = tmp_path / "camera=3"
    folder.mkdir()
    pq.write_table(pa.table({"file": ["a.mp4"]}), folder / "videos.parquet")
    assert set(list_videos(folder / "videos.parquet")[0].columns) == {"file"}


def test_what_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "videos.csv").write_text("file\na.mp4\n")
    with pytest.raises(UserError, match=r"videos.csv' is no readable Parquet file: .*; name"):
        list_videos(tmp_path / "videos.csv")


def test_an_empty_list_is_refused(tmp_path):
    pq.write_table(pa.table({"file": pa.array([], pa.string())}), tmp_path / "videos.parquet")
    with pytest.raises(UserError, match="lists no video"):
        list_videos(tmp_path / "videos.parquet")
