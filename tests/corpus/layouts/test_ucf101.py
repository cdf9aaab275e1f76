"""UCF101's folders and lists of folds."""

from __future__ import annotations

from pathlib import Path

import pytest

from videoproc import storage
from videoproc.corpus.layouts import LAYOUTS
from videoproc.types import UserError

list_videos = LAYOUTS["ucf101"]

DIVE, JUMP = "CliffDiving", "LongJump"
NAMES = [
    f"{name}/v_{name}_g0{g}_c0{c}.avi" for name in (DIVE, JUMP) for g in (1, 2) for c in (1, 2)
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two classes of two groups; fold 01 tests on g01, fold 02 on g02. The files hold nothing."""
    root = tmp_path / "ucf"
    for name in NAMES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    lists = root / "ucfTrainTestlist"
    lists.mkdir()
    (lists / "classInd.txt").write_bytes(f"1 {DIVE}\r\n2 {JUMP}\r\n".encode())
    for fold, held_out in (("01", "_g01_"), ("02", "_g02_")):
        numbered = [f"{name} {1 + (JUMP in name)}" for name in NAMES if held_out not in name]
        tested = [name for name in NAMES if held_out in name]
        (lists / f"trainlist{fold}.txt").write_bytes("\r\n".join([*numbered, ""]).encode())
        (lists / f"testlist{fold}.txt").write_bytes("\r\n".join([*tested, ""]).encode())
    return root


def change(corpus: Path, name: str, old: str, new: str) -> Path:
    file = corpus / "ucfTrainTestlist" / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    return file


def test_a_video_has_the_label_split_and_group_of_its_name_and_list(corpus):
    entries = {entry.uri: entry for entry in list_videos(corpus)}
    assert set(entries) == {f"{corpus}/{name}" for name in NAMES}
    first = entries[f"{corpus}/{DIVE}/v_{DIVE}_g01_c01.avi"]
    assert (first.label, first.split, first.group) == (DIVE, "test", f"{DIVE}_g01")
    other = entries[f"{corpus}/{JUMP}/v_{JUMP}_g02_c01.avi"]
    assert (other.label, other.split, other.group) == (JUMP, "train", f"{JUMP}_g02")


def test_a_list_as_the_source_chooses_its_fold(corpus):
    entries = list_videos(corpus / "ucfTrainTestlist" / "trainlist02.txt")
    assert {entry.group for entry in entries if entry.split == "test"} == {
        f"{DIVE}_g02",
        f"{JUMP}_g02",
    }


def test_the_videos_may_lie_in_the_folder_of_their_archive(corpus):
    (corpus / "UCF-101").mkdir()
    for name in (DIVE, JUMP):
        (corpus / name).rename(corpus / "UCF-101" / name)
    assert {entry.uri for entry in list_videos(corpus)} == {f"{corpus}/UCF-101/{n}" for n in NAMES}


def test_a_video_in_no_list_is_left_out(corpus):
    (corpus / DIVE / f"v_{DIVE}_g03_c01.avi").touch()
    assert len(list_videos(corpus)) == len(NAMES)


def test_it_may_lie_in_an_object_store(corpus, bucket):
    for file in corpus.rglob("*.*"):
        storage.at(f"{bucket}/ucf/{file.relative_to(corpus)}").write_bytes(file.read_bytes())
    entries = list_videos(storage.at(f"{bucket}/ucf"))
    assert {entry.uri for entry in entries} == {f"{bucket}/ucf/{name}" for name in NAMES}


def test_a_line_whose_video_is_not_there_is_named(corpus):
    (corpus / NAMES[1]).unlink()
    with pytest.raises(
        UserError, match=r"line 2 of .*testlist01.txt' names .*_g01_c02.avi', which"
    ):
        list_videos(corpus)


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        ("trainlist01.txt", f"{JUMP}/", "Jump/", "line 3 of .* the class 'Jump', which is not in"),
        ("trainlist01.txt", " 2", " 7", "line 3 of .* number '7', classInd.txt says 2"),
        ("classInd.txt", "1 ", "", f"line 1 of .* is '{DIVE}'; write a number and a class"),
        ("testlist01.txt", NAMES[0], NAMES[2], r"names .*_g02_c01.avi' a second time"),
    ],
)
def test_a_wrong_line_is_named_with_its_value(corpus, file, old, new, message):
    change(corpus, file, old, new)
    with pytest.raises(UserError, match=message):
        list_videos(corpus)


def test_a_file_name_without_a_group_is_refused(corpus):
    (corpus / DIVE / "dive.avi").touch()
    change(corpus, "testlist01.txt", NAMES[0], f"{DIVE}/dive.avi")
    with pytest.raises(UserError, match=r"dive.avi', which tells no group; name it as v_X_g01"):
        list_videos(corpus)


def test_another_folder_is_refused_with_what_is_wanted(tmp_path):
    with pytest.raises(UserError, match=r"is not UCF101; give the folder that holds ucfTrain"):
        list_videos(tmp_path)


def test_a_fold_that_is_not_there_is_named(corpus):
    (corpus / "ucfTrainTestlist" / "testlist02.txt").unlink()
    with pytest.raises(UserError, match=r"testlist02.txt' is not a file"):
        list_videos(corpus / "ucfTrainTestlist" / "trainlist02.txt")
