"""How a corpus lies on disk: one file for each layout, and one line here."""

from collections.abc import Callable
from pathlib import Path

from videoproc.corpus.layouts import csv_list, folder
from videoproc.corpus.layouts.entry import Entry

LAYOUTS: dict[str, Callable[[Path], list[Entry]]] = {
    "folder": folder.list_videos,
    "csv": csv_list.list_videos,
}

__all__ = ["LAYOUTS", "Entry"]
