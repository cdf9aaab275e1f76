"""How a corpus lies on disk: one file for each layout, and one line here."""

from collections.abc import Callable

from videoproc.corpus.layouts import csv_list, folder
from videoproc.corpus.layouts.entry import Entry
from videoproc.storage import Anywhere

LAYOUTS: dict[str, Callable[[Anywhere], list[Entry]]] = {
    "folder": folder.list_videos,
    "csv": csv_list.list_videos,
}

__all__ = ["LAYOUTS", "Entry"]
