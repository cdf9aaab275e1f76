"""Parquet shards with a transaction log: write, commit, read, quarantine."""

from videoproc.tables.dataset import Dataset, read
from videoproc.tables.recipe import Recipe
from videoproc.tables.table import Table
from videoproc.tables.write import Shard, write_shard

__all__ = ["Dataset", "Recipe", "Shard", "Table", "read", "write_shard"]
