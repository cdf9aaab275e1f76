"""A CSV that lists the videos."""

from pathlib import Path

import pytest

from videoproc.corpus.layouts import LAYOUTS
from videoproc.types import UserError

list_videos = LAYOUTS["csv"]


def write(folder: Path, text: str) -> Path:
    path = folder / "videos.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("column", ["file", "uri", "path"])
def test_paths_are_relative_to_the_list(tmp_path, column):
    source = write(tmp_path, f"{column},label\nin/a.mp4,up\n/abs/b.mp4,\n../c.mp4,down\n")
    assert [(entry.uri, entry.label) for entry in list_videos(source)] == [
        (f"{tmp_path}/in/a.mp4", "up"),
        ("/abs/b.mp4", None),
        (f"{tmp_path.parent}/c.mp4", "down"),
    ]


def test_every_column_is_kept(tmp_path):
    source = write(tmp_path, 'file,source_id,note\na.mp4,7,"wet, dark"\n')
    assert list_videos(source)[0].columns == {
        "file": "a.mp4",
        "source_id": "7",
        "note": "wet, dark",
    }


def test_a_spreadsheets_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    assert len(list_videos(write(tmp_path, "\ufefffile,label\na.mp4,up\n"))) == 1


def test_a_listed_file_need_not_exist(tmp_path):
    assert list_videos(write(tmp_path, "file\nnowhere.mp4\n"))[0].label is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na.mp4,up\n", "none of which is file, uri, path"),
        ("", "none of which is file, uri, path"),
        ("file,label\n", "lists no video"),
        ("file,label\na.mp4,up,extra\n", "row 2 .* more cells than the header"),
        ("file,label\na.mp4,up\n ,down\n", "row 3 .* nothing under 'file'"),
    ],
)
def test_a_bad_list_is_refused_with_its_reason(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        list_videos(write(tmp_path, text))


def test_a_video_is_not_a_list(tmp_path):
    (tmp_path / "a.mp4").write_bytes(bytes(range(256)))
    with pytest.raises(UserError, match="not a CSV in UTF-8"):
        list_videos(tmp_path / "a.mp4")


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.csv.*is not a file"):
        list_videos(tmp_path / "nowhere.csv")


@pytest.mark.data
def test_the_surveillance_fights_are_listed_with_their_sources(shared_data):
    entries = list_videos(shared_data / "surveillance_fights" / "groups.csv")
    assert len(entries) == 300
    assert {entry.label for entry in entries} == {"fight", "noFight"}
    assert len({entry.columns["source_id"] for entry in entries}) == 46
    assert all(Path(entry.uri).is_file() for entry in entries)
