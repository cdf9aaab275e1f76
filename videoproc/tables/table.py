"""A table: Parquet shards and a Delta log that says which of them count.

Workers write shards; only a job's driver commits. A commit carries an application transaction
number one above the number that the driver has read: of two drivers that read the same state one
is refused, reads what the other has added, drops what is now there twice and tries again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import (
    CommitProperties,
    DeltaTable,
    Transaction,
    WriterProperties,
    write_deltalake,
)
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from videoproc.tables.write import Shard, row_keys, rows_per_group, write_shard
from videoproc.types import UserError

APPLICATION = "videoproc"
COMMIT_ATTEMPTS = 20


@dataclass(kw_only=True)
class Table:
    """A folder of shards with a log. `key` names the string columns that no two rows share."""

    folder: Path
    schema: pa.Schema
    key: tuple[str, ...]
    _keys_by_file: dict[str, tuple[str, ...]] = field(default_factory=dict, repr=False)

    @property
    def exists(self) -> bool:
        return DeltaTable.is_deltatable(str(self.folder))

    @property
    def version(self) -> int:
        """The number of the last commit; -1 before the first."""
        return self._open().version() if self.exists else -1

    def files(self) -> list[Path]:
        """The shards that the log names, in a stable order. A glob would see orphans too."""
        return [self.folder / name for name in self._names(self._open())] if self.exists else []

    def keys(self) -> set[str]:
        """The keys of all rows, `/`-joined. Each shard is read once in this table's life."""
        names = [path.name for path in self.files()]
        for name in names:
            if name not in self._keys_by_file:
                rows = pq.read_table(self.folder / name, columns=list(self.key), partitioning=None)
                self._keys_by_file[name] = row_keys(rows, self.key)
        return {key for name in names for key in self._keys_by_file[name]}

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """All rows, or some columns of them, in the order of the shards."""
        wanted = list(columns) if columns is not None else self.schema.names
        types = pa.schema([self.schema.field(name) for name in wanted])
        # A shard that a deletion has rewritten holds string views in the place of strings.
        parts = [
            pq.read_table(path, columns=wanted, partitioning=None).cast(types)
            for path in self.files()
        ]
        return pa.concat_tables([types.empty_table(), *parts])

    def append(self, shards: Iterable[Shard]) -> int:
        """Commit shards in one transaction and return the number of rows that came in.

        Rows whose key is in the table already are dropped; a shard with none left is left out.
        """
        shards = list(shards)
        for _ in range(COMMIT_ATTEMPTS):
            table = self._open_or_create()
            last = table.transaction_version(APPLICATION) or 0
            fresh = self._without_known_rows(shards)
            if not fresh:
                return 0
            try:
                table.create_write_transaction(
                    [self._add_action(shard) for shard in fresh],
                    mode="append",
                    schema=self.schema,
                    commit_properties=CommitProperties(
                        max_commit_retries=0, app_transactions=[Transaction(APPLICATION, last + 1)]
                    ),
                )
            except CommitFailedError:
                if self._open().version() == table.version():
                    raise  # nobody was faster: the log itself refuses
                continue
            self._keys_by_file |= {shard.name: shard.keys for shard in fresh}
            return sum(shard.num_rows for shard in fresh)
        raise RuntimeError(f"{self.folder}: {COMMIT_ATTEMPTS} commits lost to another writer")

    def append_rows(self, rows: Sequence[dict[str, Any]]) -> int:
        """Write a few rows as one shard and commit it."""
        if not rows:
            return 0
        table = pa.Table.from_pylist(list(rows), schema=self.schema)
        return self.append([write_shard(self.folder, table, key=self.key)])

    def replace(self, rows: pa.Table) -> None:
        """Put `rows` in the place of all rows, in one transaction."""
        write_deltalake(self._open_or_create(), rows.cast(self.schema), mode="overwrite")

    def delete(self, predicate: str) -> None:
        """Delete the rows for which an SQL predicate holds."""
        if self.exists:
            table = self._open()
            adds = pa.table(table.get_add_actions())
            num_rows, num_bytes = (sum(adds[n].to_pylist()) for n in ("num_records", "size_bytes"))
            properties = WriterProperties(max_row_group_size=rows_per_group(num_rows, num_bytes))
            table.delete(predicate, writer_properties=properties)

    def _open(self) -> DeltaTable:
        table = DeltaTable(str(self.folder))
        found = pa.schema(table.schema()).names
        if found != self.schema.names:
            raise UserError(
                f"table {self.folder} has the columns {found}, this version needs "
                f"{self.schema.names}: extract into a new dataset folder"
            )
        return table

    def _open_or_create(self) -> DeltaTable:
        if not self.exists:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                DeltaTable.create(str(self.folder), schema=self.schema, mode="ignore")
            except CommitFailedError:
                if not self.exists:  # else another writer has created it meanwhile
                    raise
        return self._open()

    def _names(self, table: DeltaTable) -> list[str]:
        return sorted(pa.table(table.get_add_actions())["path"].to_pylist())

    def _without_known_rows(self, shards: Sequence[Shard]) -> list[Shard]:
        known = self.keys()
        fresh: list[Shard] = []
        for shard in shards:
            new = []
            for key in shard.keys:
                new.append(key not in known)
                known.add(key)
            if all(new):
                fresh.append(shard)
            elif any(new):
                rows = pq.read_table(self.folder / shard.name, partitioning=None)
                fresh.append(write_shard(self.folder, rows.filter(pa.array(new)), key=self.key))
        return fresh

    def _add_action(self, shard: Shard) -> AddAction:
        path = self.folder / shard.name
        if not path.is_file() or path.stat().st_size != shard.size_bytes:  # the log would take it
            raise RuntimeError(f"shard {path} is gone or not of {shard.size_bytes} bytes")
        return AddAction(
            path=shard.name,
            size=shard.size_bytes,
            partition_values={},
            modification_time=int(time.time() * 1000),
            data_change=True,
            stats=json.dumps({"numRecords": shard.num_rows}),
        )
