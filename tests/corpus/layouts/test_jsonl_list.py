"""JSON lines that list the videos."""

from pathlib import Path

import pytest

from videoproc.corpus.layouts import LAYOUTS
from videoproc.types import UserError

list_videos = LAYOUTS["jsonl"]


def write(folder: Path, text: str) -> Path:
    path = folder / "videos.jsonl"
    path.write_text(text, encoding="utf-8")
    return path


def test_plain_values_are_kept_as_text_and_others_are_not(tmp_path):
    line = '{"path": "a.mp4", "cam": 7, "wet": true, "fps": 2.5, "none": null, "box": [1, 2]}\n'
    assert list_videos(write(tmp_path, line))[0].columns == {
        "path": "a.mp4",
        "cam": "7",
        "wet": "true",
        "fps": "2.5",
        "none": "",
    }


def test_a_label_may_be_one_or_several_and_a_line_may_be_empty(tmp_path):
    source = write(
        tmp_path,
        '\ufeff{"file": "a.mp4", "label": "up"}\n\n{"file": "b.mp4", "labels": ["x", "up"]}\n'
        '{"file": "c.mp4", "label": null}',
    )
    assert [entry.labels for entry in list_videos(source)] == [("up",), ("up", "x"), ()]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{file: a.mp4}", r"is no JSON \(.* at column 2\): '{file: a.mp4}'; write one object"),
        ('["a.mp4"]', r"is '\[\"a.mp4\"\]'; write an object such as {\"file\""),
        ('{"name": "b.mp4"}', "has the columns name, none of which is file"),
        ('{"file": 3}', "has 3 under 'file'; give a path"),
        ('{"file": null}', "has nothing under 'file'"),
        ('{"file": "b.mp4", "label": ["up"]}', r"has the label \['up'\]; give a text, several"),
        ('{"file": "b.mp4", "labels": "up"}', "has 'up' under 'labels'; give a list of texts"),
    ],
)
def test_a_bad_line_is_named_with_its_value_and_remedy(tmp_path, line, message):
    source = write(tmp_path, f'{{"file": "a.mp4"}}\n{line}\n')
    with pytest.raises(UserError, match=rf"line 2 of '{source}' {message}"):
        list_videos(source)


def test_a_line_that_is_not_utf_8_is_named(tmp_path):
    source = tmp_path / "videos.jsonl"
    source.write_bytes(b'{"file": "a.mp4"}\n{"file": "caf\xe9.mp4"}\n')
    with pytest.raises(UserError, match=r"line 2 of .* is not UTF-8 \(byte 0xe9\).*save it as"):
        list_videos(source)


def test_an_empty_list_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"videos.jsonl' lists no video; add a row"):
        list_videos(write(tmp_path, "\n"))
