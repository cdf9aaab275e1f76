"""Folders as classes."""

import logging

import pytest

from videoproc.corpus.layouts import LAYOUTS
from videoproc.types import UserError

list_videos = LAYOUTS["folder"]


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_the_first_folder_is_the_label_and_the_order_is_that_of_the_paths(tmp_path):
    touch(tmp_path, "up/b.mp4", "up/a.MKV", "down/cam1/deep/c.avi", "loose.mov")
    assert [(entry.uri, entry.label) for entry in list_videos(tmp_path)] == [
        (f"{tmp_path}/down/cam1/deep/c.avi", "down"),
        (f"{tmp_path}/loose.mov", None),
        (f"{tmp_path}/up/a.MKV", "up"),
        (f"{tmp_path}/up/b.mp4", "up"),
    ]


def test_what_is_no_video_is_counted_and_what_is_hidden_is_not(tmp_path, caplog):
    touch(tmp_path, "up/a.mp4", "up/notes.txt", "up/._a.mp4", ".cache/x.mp4")
    with caplog.at_level(logging.INFO):
        assert len(list_videos(tmp_path)) == 1
    assert "1 of 2 files" in caplog.text


def test_a_relative_source_gives_absolute_uris(tmp_path, monkeypatch):
    touch(tmp_path, "corpus/up/a.mp4")
    monkeypatch.chdir(tmp_path)
    assert list_videos(type(tmp_path)("corpus"))[0].uri == f"{tmp_path}/corpus/up/a.mp4"


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match=r"nowhere.*is not a folder"):
        list_videos(tmp_path / "nowhere")


def test_a_folder_without_videos_is_refused(tmp_path):
    touch(tmp_path, "up/notes.txt")
    with pytest.raises(UserError, match="no video among its 1 files"):
        list_videos(tmp_path)
