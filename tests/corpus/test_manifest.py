"""The manifest: one row a video, whatever the state of its file."""

import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoproc import schema
from videoproc.corpus import manifest, survey
from videoproc.corpus.examine import Finding
from videoproc.corpus.layouts import LAYOUTS, Entry
from videoproc.corpus.splits import SplitConfig
from videoproc.types import UserError

TWO_SIDES = SplitConfig(train=0.5, val=0.0, test=0.5, group="source")


def build(entries, split=TWO_SIDES, **more):
    return manifest.build(entries, split=split, workers=2, **more)


@pytest.fixture(scope="module")
def made(small_corpus):
    return build(LAYOUTS["csv"](small_corpus / "videos.csv"))


@pytest.fixture
def one_file(small_corpus, tmp_path) -> Path:
    return Path(shutil.copy(small_corpus / "videos/left/cam00_000.mp4", tmp_path / "a.mp4"))


def crash(_: str) -> Finding:
    os.abort()


def test_every_video_of_the_corpus_has_one_row(made, small_config):
    whole = [v for v in made.videos if v.label is not None and v.error is None]
    assert len(whole) == small_config.videos
    assert {(v.codec, v.num_frames) for v in whole} == {("h264", 12)}


def test_a_broken_file_is_a_row_with_an_error_and_no_split(made):
    (broken,) = made.failed
    assert "broken" in broken.uri
    assert (broken.num_frames, broken.split) == (None, None)


def test_an_unlabelled_video_is_a_row_without_a_split(made):
    (long,) = [v for v in made.videos if v.label is None]
    assert (long.error, long.split) == (None, None)


def test_of_equal_files_the_first_is_kept_and_the_other_is_listed(made):
    ((kept, dropped),) = made.duplicates
    assert kept.endswith("cam00_000.mp4")
    assert dropped.endswith("cam00_copy.mp4")
    assert [v.uri for v in made.videos if v.uri in (kept, dropped)] == [kept]


def test_a_source_is_on_one_side(made):
    sides = {(v.group, v.split) for v in made.videos if v.split is not None}
    assert len(sides) == 2
    assert {split for _, split in sides} == {"train", "test"}


def test_folders_and_a_pattern_give_the_same_manifest_as_the_list(made, small_corpus):
    entries = LAYOUTS["folder"](small_corpus / "videos")
    by_folder = build(entries, replace(TWO_SIDES, group=r"(cam\d+)_"))
    assert by_folder.videos == made.videos


def test_equal_files_with_different_labels_are_an_error_that_names_both(one_file):
    other = Path(shutil.copy(one_file, one_file.with_name("b.mp4")))
    entries = [Entry(uri=str(one_file), labels=("up",)), Entry(uri=str(other), labels=("down",))]
    (video,) = build(entries, SplitConfig()).videos
    assert video.error == f"same bytes, several labels: '{one_file}' is 'up', '{other}' is 'down'"
    assert video.split is None


def test_an_unlabelled_twin_takes_nothing_from_the_label(one_file):
    other = Path(shutil.copy(one_file, one_file.with_name("b.mp4")))
    entries = [Entry(uri=str(one_file)), Entry(uri=str(other), labels=("up",))]
    (video,) = build(entries, SplitConfig(train=1.0, val=0.0, test=0.0)).videos
    assert (video.uri, video.label, video.split) == (str(one_file), "up", "train")


def test_a_listed_file_that_is_not_there_is_a_row_with_an_error(one_file):
    entries = [Entry(uri=str(one_file)), Entry(uri="/nowhere/b.mp4", labels=("up",))]
    gone, there = build(entries, SplitConfig()).videos
    assert there.error is None
    assert gone.uri == "/nowhere/b.mp4"
    assert gone.error.startswith("FileNotFoundError")


def test_a_file_that_kills_the_reader_costs_only_itself(one_file, monkeypatch):
    monkeypatch.setattr(survey, "examine", crash)
    (video,) = build([Entry(uri=str(one_file), labels=("up",))], SplitConfig()).videos
    assert "SIGABRT" in video.error
    assert video.size_bytes == one_file.stat().st_size


def test_a_given_split_is_taken_as_it_is(small_corpus):
    entries = LAYOUTS["csv"](small_corpus / "videos.csv")
    sides = {"cam00": "val", "cam01": "train"}
    entries = [
        replace(e, columns=e.columns | {"split": sides[e.columns["source"]]}) for e in entries
    ]
    usable = [v for v in build(entries).videos if v.split is not None]
    assert Counter(sides[v.group] == v.split for v in usable) == {True: 12}


def test_a_given_split_that_tears_a_source_is_refused(small_corpus):
    entries = LAYOUTS["csv"](small_corpus / "videos.csv")
    torn = [
        replace(e, columns=e.columns | {"split": ("train", "test")[i % 2]})
        for i, e in enumerate(entries)
    ]
    with pytest.raises(UserError, match=r"cam00, cam01"):
        build(torn)


def test_a_wrong_group_is_refused_before_any_file_is_read(small_corpus):
    calls = []
    with pytest.raises(UserError, match="finds no group"):
        build(
            LAYOUTS["folder"](small_corpus / "videos"),
            replace(TWO_SIDES, group="(dog)"),
            on_progress=lambda *done: calls.append(done),
        )
    assert calls == []


def test_progress_counts_the_files(small_corpus):
    calls = []
    entries = LAYOUTS["folder"](small_corpus / "videos" / "left")
    build(entries, SplitConfig(), on_progress=lambda *done: calls.append(done))
    assert calls == [(i, len(entries)) for i in range(1, len(entries) + 1)]


def test_a_manifest_comes_back_from_its_table(made):
    table = manifest.to_table(made.videos)
    assert table.schema == schema.MANIFEST
    assert manifest.from_table(table) == sorted(made.videos, key=lambda video: video.video_id)


@given(order=st.randoms(use_true_random=False))
def test_the_digest_does_not_depend_on_the_order(made, order):
    shuffled = order.sample(made.videos, len(made.videos))
    assert manifest.digest(shuffled) == manifest.digest(made.videos)


@pytest.mark.parametrize("change", [{"labels": ("x",)}, {"split": "val"}, {"group": "x"}])
def test_the_digest_changes_with_what_is_held_true(made, change):
    first, *rest = made.videos
    assert manifest.digest([replace(first, **change), *rest]) != manifest.digest(made.videos)


def test_the_digest_is_the_same_where_only_the_folder_changed(made):
    moved = [replace(v, uri=f"/elsewhere{v.uri}") for v in made.videos]
    assert manifest.digest(moved) == manifest.digest(made.videos)


@pytest.mark.data
def test_the_surveillance_fights_make_a_whole_manifest(shared_data):
    entries = LAYOUTS["csv"](shared_data / "surveillance_fights" / "groups.csv")
    made = build(entries, SplitConfig(group="source_id"))
    assert len(made.videos) + len(made.duplicates) == 300
    assert {v.split for v in made.videos if v.error is None} == {"train", "val", "test"}
