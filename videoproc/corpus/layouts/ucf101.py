"""UCF101 as it is published: folders of classes, and a fold's lists of training and test videos.

CORPUS/ucfTrainTestlist/trainlist01.txt   ApplyEyeMakeup/v_ApplyEyeMakeup_g08_c01.avi 1
CORPUS/ucfTrainTestlist/testlist01.txt    ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi
CORPUS/ucfTrainTestlist/classInd.txt      1 ApplyEyeMakeup
CORPUS/ApplyEyeMakeup/*.avi               or CORPUS/UCF-101/ApplyEyeMakeup/*.avi
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from videoproc import storage
from videoproc.corpus.layouts import listed
from videoproc.corpus.layouts.entry import Entry
from videoproc.storage import Anywhere
from videoproc.types import UserError

log = logging.getLogger(__name__)

LISTS = "ucfTrainTestlist"
ARCHIVE = "UCF-101"  # the folder that the archive of the videos unpacks to
FIRST_FOLD = "01"

_LIST = re.compile(r"(?:train|test)list(\d+)\.txt")
_GROUP = re.compile(r"_(g\d+)_c\d+")


def list_videos(source: Anywhere) -> list[Entry]:
    """The videos that a fold's two lists name, each with its label, split and group.

    source: the corpus folder, for fold 01; or one of the lists of a fold
    (CORPUS/ucfTrainTestlist/trainlist02.txt). The group, `ApplyEyeMakeup_g08`, holds the clips of
    one source video. Videos that neither list names are counted in the log.
    Errors: UserError where a list is missing or a line of it is wrong.
    """
    lists, fold = _fold(source)
    corpus = lists.resolve().parent
    root = corpus / ARCHIVE if (corpus / ARCHIVE).is_dir() else corpus
    there = {_posix(file, root) for file in storage.names_below(root)}
    classes = _classes(lists / "classInd.txt")
    entries: dict[str, Entry] = {}
    for split in ("train", "test"):
        source_list = lists / f"{split}list{fold}.txt"
        for where, line in _lines(source_list):
            name = _checked_name(line, where=where, classes=classes, there=there, root=root)
            if name in entries:
                raise UserError(f"{where} names {name!r} a second time; remove one of the lines")
            entries[name] = _entry(name, split=split, root=root, where=where)
    if others := sum(name.endswith(".avi") for name in there - entries.keys()):
        log.info("%d videos under %s are in neither list of fold %s: ignored", others, root, fold)
    return listed.check_any(list(entries.values()), lists / f"trainlist{fold}.txt")


def _fold(source: Anywhere) -> tuple[Anywhere, str]:
    """The folder of the lists, and the number of the fold as their names have it."""
    if source.is_dir():
        lists = source / LISTS
        if lists.is_dir():
            return lists, FIRST_FOLD
    elif (match := _LIST.fullmatch(source.name)) and source.is_file():
        return source.parent, match[1]
    raise UserError(
        f"corpus {str(source)!r} is not UCF101; give the folder that holds {LISTS}, or one of its "
        "lists to choose the fold, such as trainlist02.txt"
    )


def _classes(source: Anywhere) -> dict[str, str]:
    """The number of each class, by its name."""
    classes = {}
    for where, line in _lines(source):
        number, _, name = line.partition(" ")
        if not number.isdigit() or not name:
            raise UserError(f"{where} is {line!r}; write a number and a class, as 1 ApplyEyeMakeup")
        classes[name] = number
    return classes


def _lines(source: Anywhere) -> Iterator[tuple[str, str]]:
    """("line 3 of ...", its text) of the lines that are not empty."""
    listed.check_file(source, kind="list of UCF101")
    for number, line in enumerate(listed.text_lines(source), start=1):
        if text := line.strip():
            yield f"line {number} of {str(source)!r}", text


def _checked_name(
    line: str, *, where: str, classes: dict[str, str], there: set[str], root: Anywhere
) -> str:
    """The video's name in the corpus; the class number after it, where there is one, must fit."""
    name, _, number = line.partition(" ")
    label = PurePosixPath(name).parent.name
    if label not in classes:
        raise UserError(f"{where} has the class {label!r}, which is not in classInd.txt; add it")
    if number and number.strip() != classes[label]:
        raise UserError(
            f"{where} gives {label!r} the number {number.strip()!r}, classInd.txt says "
            f"{classes[label]}; make them agree"
        )
    if name not in there:
        raise UserError(
            f"{where} names {name!r}, which is not under {str(root)!r}; add the video or remove "
            "the line"
        )
    return name


def _entry(name: str, *, split: str, root: Anywhere, where: str) -> Entry:
    label = PurePosixPath(name).parent.name
    match = _GROUP.search(PurePosixPath(name).name)
    if match is None:
        raise UserError(f"{where} names {name!r}, which tells no group; name it as v_X_g01_c01.avi")
    group = f"{label}_{match[1]}"
    return Entry(
        uri=str(root / name), labels=(label,), split=split, group=group, columns={"group": group}
    )


def _posix(file: Anywhere, root: Anywhere) -> str:
    return file.relative_to(root).as_posix()  # type: ignore[arg-type]
