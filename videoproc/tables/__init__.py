"""Parquet shards with a transaction log: write, commit, read, quarantine."""

from videoproc.tables.dataset import Dataset, read
from videoproc.tables.frames import FrameFormat, decode_frames
from videoproc.tables.recipe import Recipe
from videoproc.tables.table import Table
from videoproc.tables.write import Shard, write_shard

__all__ = [
    "Dataset",
    "FrameFormat",
    "Recipe",
    "Shard",
    "Table",
    "decode_frames",
    "read",
    "write_shard",
]
