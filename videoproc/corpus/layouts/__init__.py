"""How a corpus lies on disk: one file for each layout, and one line here."""

from collections.abc import Callable

from videoproc.corpus.layouts import csv_list, folder, jsonl_list, parquet_list, ucf101
from videoproc.corpus.layouts.entry import SPLITS, Entry
from videoproc.storage import Anywhere

LAYOUTS: dict[str, Callable[[Anywhere], list[Entry]]] = {
    "folder": folder.list_videos,
    "csv": csv_list.list_videos,
    "jsonl": jsonl_list.list_videos,
    "parquet": parquet_list.list_videos,
    "ucf101": ucf101.list_videos,
}

__all__ = ["LAYOUTS", "SPLITS", "Entry"]
