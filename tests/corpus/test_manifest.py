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


def crash(_: str, **__) -> Finding:
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
    entries = [replace(e, split=sides[e.columns["source"]]) for e in entries]
    usable = [v for v in build(entries).videos if v.split is not None]
    assert Counter(sides[v.group] == v.split for v in usable) == {True: 12}


def test_a_given_split_that_tears_a_source_is_refused(small_corpus):
    entries = LAYOUTS["csv"](small_corpus / "videos.csv")
    torn = [replace(e, split=("train", "test")[i % 2]) for i, e in enumerate(entries)]
    with pytest.raises(UserError, match=r"group 'cam00': 3 train, 3 test; group 'cam01': 3 train"):
        build(torn)


def _grouped(folder: Path, write, *, train: int, test: int, val: int = 0) -> list[Entry]:
    """Two classes whose groups, of two videos each, are on the sides that the corpus gives."""
    sides = ["train"] * train + ["val"] * val + ["test"] * test
    return [
        Entry(
            uri=write(folder / f"{label}-{g}-{i}.mp4"),
            labels=(label,),
            split=side,
            group=f"{label}{g}",
        )
        for label in ("up", "down")
        for g, side in enumerate(sides)
        for i in range(2)
    ]


@pytest.fixture
def write(small_corpus):
    """Writes another file at each call: a video with some bytes behind its end."""
    content = (small_corpus / "videos/left/cam00_000.mp4").read_bytes()

    def put(path: Path) -> str:
        path.write_bytes(content + path.name.encode())
        return str(path)

    return put


def test_where_a_corpus_gives_no_val_it_is_dealt_from_the_groups_of_train(tmp_path, write):
    entries = _grouped(tmp_path, write, train=6, test=2)
    made = build(entries, SplitConfig(train=0.6, val=0.3, test=0.1))
    given = {entry.uri: entry.split for entry in entries}
    assert {v.split for v in made.videos if given[v.uri] == "test"} == {"test"}
    dealt = Counter((v.label, v.split) for v in made.videos if given[v.uri] == "train")
    assert dealt == {(a, s): n for a in ("up", "down") for s, n in (("train", 8), ("val", 4))}
    assert len({(v.group, v.split) for v in made.videos}) == 16
    assert made.val_from_train == 8


def test_val_dealt_from_train_stays_as_more_videos_come(tmp_path, write):
    split = SplitConfig(train=0.6, val=0.3, test=0.1)
    before = build(_grouped(tmp_path, write, train=6, test=2), split)
    known = manifest.Known(videos=before.videos, keep_splits=True)
    after = build(_grouped(tmp_path, write, train=12, test=2), split, known=known)
    was = {v.group: v.split for v in before.videos if v.split != "test"}
    now = {v.group: v.split for v in after.videos}
    assert {group: now[group] for group in was} == was
    assert Counter(now.values()) == {"train": 16, "val": 8, "test": 4}


def test_a_given_val_is_kept_and_train_is_left_whole(tmp_path, write):
    entries = _grouped(tmp_path, write, train=4, val=1, test=1)
    given = {entry.uri: entry.split for entry in entries}
    made = build(entries, SplitConfig())
    assert {v.uri: v.split for v in made.videos} == given
    assert made.val_from_train == 0


def test_without_a_share_of_val_a_given_train_is_left_whole(tmp_path, write):
    entries = _grouped(tmp_path, write, train=4, test=1)
    made = build(entries, SplitConfig(train=0.8, val=0.0, test=0.2))
    assert Counter(v.split for v in made.videos) == {"train": 16, "test": 4}


def test_of_too_few_unlabelled_videos_none_is_taken_from_train(tmp_path, write):
    sides = ("train", "train", "test")
    entries = [Entry(uri=write(tmp_path / f"{i}.mp4"), split=s) for i, s in enumerate(sides)]
    assert [v.split for v in sorted(build(entries, SplitConfig()).videos, key=lambda v: v.uri)] == [
        *sides
    ]


def test_a_group_torn_by_the_corpus_is_named_as_the_corpus_gives_it(tmp_path, write):
    entries = [replace(e, group="cam") for e in _grouped(tmp_path, write, train=3, test=1)]
    with pytest.raises(UserError, match="group 'cam': 12 train, 4 test"):
        build(entries, SplitConfig())


def test_the_groups_of_the_layout_hold_unless_others_are_asked_for(tmp_path, write):
    entries = _grouped(tmp_path, write, train=3, val=1, test=1)
    assert {v.group for v in build(entries, SplitConfig()).videos} == {e.group for e in entries}
    made = build(entries, SplitConfig(group=r"(\w+-\d-\d).mp4"))
    assert len({v.group for v in made.videos}) == len(entries)


def test_a_video_that_is_given_to_train_and_to_test_only_tests(tmp_path, write, one_file):
    entries = _grouped(tmp_path, write, train=3, val=1, test=1)
    twins = [
        Entry(
            uri=str(shutil.copy(one_file, tmp_path / f"twin-{name}")), labels=("up",), split=split
        )
        for name, split in (("a.mp4", "train"), ("b.mp4", "test"), ("c.mp4", "val"))
    ]
    made = build([*entries, *twins], SplitConfig())
    (kept,) = [v for v in made.videos if v.group is None]
    assert (kept.uri, kept.split) == (str(tmp_path / "twin-b.mp4"), "test")
    assert [Path(other).name for _, other in made.duplicates] == ["twin-c.mp4", "twin-a.mp4"]


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
