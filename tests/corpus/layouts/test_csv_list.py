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
        (
            "file,label\na.mp4,up,extra\n",
            r"line 2 of .* more cells than the header \(\['extra'\]\); quote",
        ),
        ("file,label\na.mp4,up\n ,down\n", "line 3 of .* nothing under 'file'; give a path"),
    ],
)
def test_a_bad_list_is_refused_with_its_reason(tmp_path, text, message):
    with pytest.raises(UserError, match=message):
        list_videos(write(tmp_path, text))


def test_several_labels_are_divided_by_semicolons(tmp_path):
    source = write(tmp_path, "file,labels\na.mp4,up; loud\nb.mp4,\nc.mp4,down;\n")
    assert [entry.labels for entry in list_videos(source)] == [("loud", "up"), (), ("down",)]


def test_a_semicolon_in_a_single_label_is_part_of_it(tmp_path):
    assert list_videos(write(tmp_path, "file,label\na.mp4,up;down\n"))[0].label == "up;down"


def test_a_given_split_is_kept_and_an_empty_one_is_none(tmp_path):
    source = write(tmp_path, "file,split\na.mp4,test\nb.mp4,\n")
    assert [entry.split for entry in list_videos(source)] == ["test", None]


def test_errors_name_the_line_as_an_editor_counts_it(tmp_path):
    source = write(tmp_path, 'file,note,split\na.mp4,"two\nlines",test\n\nb.mp4,,dev\n')
    with pytest.raises(UserError, match=r"line 5 of .*videos.csv' has the split 'dev'; give train"):
        list_videos(source)


def test_a_quote_that_is_never_closed_is_named(tmp_path):
    with pytest.raises(UserError, match=r"line 3 of .* is no CSV: unexpected end of data; mend"):
        list_videos(write(tmp_path, 'file,note\na.mp4,\n"b.mp4,\n'))


def test_a_video_is_not_a_list(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"\x00\x1cftyp\x9c\n")
    with pytest.raises(UserError, match=r"line 1 of .*a.mp4' is not UTF-8 \(byte 0x9c\)"):
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
