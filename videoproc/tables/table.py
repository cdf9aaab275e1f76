"""A table: Parquet shards and a Delta log that says which of them count.

Workers write shards; only a job's driver commits. A commit carries an application transaction
number one above the number that the driver has read: of two drivers that read the same state one
is refused, reads what the other has added, drops what is now there twice and tries again.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction, RemoveAction

from videoproc import schema, storage
from videoproc.storage import Anywhere
from videoproc.tables.write import SHARD_BYTES, Shard, row_keys, write_shard
from videoproc.types import UserError

APPLICATION = "videoproc"
LOG = "_delta_log"
COMMIT_ATTEMPTS = 50
SMALL_SHARDS = 16  # so many that are far below SHARD_BYTES are worth joining
READERS = 8  # threads: opening a shard is mostly waiting, in an object store always
FOR_EVER = {"delta.enableExpiredLogCleanup": "false"}
"""Old log entries stay: a version that a run names must be readable years later."""


class ConflictError(RuntimeError):
    """Another writer has changed the table since it was read."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One commit: files that leave the table, shards that come in."""

    remove: Sequence[str] = ()
    add: Sequence[Shard] = ()


@dataclass(kw_only=True)
class Table:
    """A folder of shards with a log. `key` names the string columns that no two rows share."""

    folder: Anywhere
    schema: pa.Schema
    key: tuple[str, ...]
    _keys: set[str] = field(default_factory=set, repr=False)
    _keys_are_of: set[str] = field(default_factory=set, repr=False)  # names of shards

    @classmethod
    def opened(cls, folder: Anywhere, *, key: tuple[str, ...]) -> Table:
        """A table that is there, with the columns that it has."""
        log = storage.patient(
            folder, lambda: DeltaTable(str(folder), storage_options=storage.delta_options(folder))
        )
        return cls(folder=folder, schema=pa.schema(log.schema()), key=key)

    @property
    def exists(self) -> bool:
        options = storage.delta_options(self.folder)
        return storage.patient(
            self.folder, lambda: DeltaTable.is_deltatable(str(self.folder), options)
        )

    @property
    def version(self) -> int:
        """The number of the last commit; -1 before the first."""
        return self._open().version() if self.exists else -1

    def files(self, *, version: int | None = None) -> list[Anywhere]:
        """The shards that the log names, in a stable order. A glob would see orphans too."""
        if not self.exists:
            return []
        if version is not None and not 0 <= version <= (last := self.version):
            raise UserError(f"table {self.folder} has versions 0 to {last}, and no {version}")
        return [self.folder / name for name in self._names(self._open(version))]

    def keys(self) -> Set[str]:
        """The keys of all rows, `/`-joined. A shard is read once in this table's life; the set is
        the table's own, and grows with its commits."""
        names = {path.name for path in self.files()}
        if not names >= self._keys_are_of:
            self._forget_keys()
        new = sorted(names - self._keys_are_of)
        with ThreadPoolExecutor(READERS) as threads:
            for keys in threads.map(self._keys_of, new):
                self._keys.update(keys)
        self._keys_are_of |= names
        return self._keys

    def _forget_keys(self) -> None:
        self._keys, self._keys_are_of = set(), set()

    def read(self, columns: Sequence[str] | None = None, *, version: int | None = None) -> pa.Table:
        """All rows, or some columns of them, in the order of the shards; now or at a version."""
        types = (
            self.schema if columns is None else pa.schema([self.schema.field(n) for n in columns])
        )
        return pa.concat_tables([types.empty_table(), *self.parts(columns, version=version)])

    def parts(
        self, columns: Sequence[str] | None = None, *, version: int | None = None
    ) -> Iterator[pa.Table]:
        """What `read` gives, shard by shard, for tables that memory does not hold."""
        wanted = list(columns) if columns is not None else self.schema.names
        types = pa.schema([self.schema.field(name) for name in wanted])
        for path in self.files(version=version):
            try:
                yield read_parquet(path, wanted).cast(types)
            except FileNotFoundError as error:
                which = "" if version is None else f" at version {version}"
                raise UserError(
                    f"table {self.folder}{which} has lost {path.name}: a vacuum or a purge has "
                    "deleted it, or somebody by hand; other versions may still read"
                ) from error

    def history(self) -> Iterator[tuple[int, list[str], list[str]]]:
        """Of each commit its version, the names of shards that came in, and of those that left."""
        if not self.exists:
            return
        entries = [path for path in storage.names_below(self.folder / LOG) if _is_entry(path.name)]
        entries.sort(key=lambda path: path.name)
        with ThreadPoolExecutor(READERS) as threads:
            texts = threads.map(lambda path: path.read_text(), entries)
            for path, text in zip(entries, texts, strict=True):
                actions = [json.loads(line) for line in text.splitlines()]
                added, removed = (
                    [action[kind]["path"] for action in actions if kind in action]
                    for kind in ("add", "remove")
                )
                yield int(path.name.partition(".")[0]), added, removed

    def ever(self) -> Iterator[pa.Table]:
        """The rows of every shard that any version had and that is still there, newest first."""
        names = dict.fromkeys(name for _, added, _ in self.history() for name in added)
        for name in reversed(names):
            if (self.folder / name).is_file():
                yield read_parquet(self.folder / name).cast(self.schema)

    def append(self, shards: Iterable[Shard]) -> int:
        """Commit shards in one transaction and return the number of rows that came in.

        Rows whose key is in the table already are dropped; a shard with none left is left out.
        """
        shards = list(shards)

        def change(_: DeltaTable) -> Change:
            return Change(add=self._without_known_rows(shards))

        return sum(shard.num_rows for shard in self._commit(change, create=True).add)

    def append_rows(self, rows: Sequence[dict[str, Any]]) -> int:
        """Write a few rows as one shard and commit it."""
        if not rows:
            return 0
        return self.append([self._write(pa.Table.from_pylist(list(rows), schema=self.schema))])

    def update(self, change: Callable[[pa.Table], pa.Table]) -> None:
        """Put `change` of all rows in their place; made anew where another writer was faster.

        For tables that memory holds. Nothing is committed where nothing changes.
        """

        self._commit(
            lambda table: self._replacement(table, change(self._rows_of(self._names(table)))),
            create=True,
        )

    def replace(self, rows: pa.Table, *, since: int | None = None) -> None:
        """Put `rows` in the place of all rows, in one transaction.

        since: the version that `rows` were made from. Errors: ConflictError if there is a newer.
        """

        def change(table: DeltaTable) -> Change:
            if since is not None and table.version() > max(since, 0):
                raise ConflictError(f"{self.folder} is at version {table.version()}, not {since}")
            return self._replacement(table, rows.cast(self.schema))

        self._commit(change, create=True)

    def delete(self, column: str, values: Collection[str]) -> int:
        """Delete the rows that hold one of `values` in a string column; how many they were."""
        wanted = pa.array(sorted(set(values)), pa.string())
        deleted = 0

        def change(table: DeltaTable) -> Change:
            nonlocal deleted
            deleted = 0
            remove, add = [], []
            for name in self._names(table):
                marks = pc.is_in(read_parquet(self.folder / name, [column])[column], wanted)
                if not (found := pc.sum(marks).as_py()):
                    continue
                deleted += found
                remove.append(name)
                if found < len(marks):
                    rows = read_parquet(self.folder / name).cast(self.schema)
                    add.append(self._write(rows.filter(pc.invert(marks))))
            return Change(remove=remove, add=add)

        if len(wanted) and self.exists:
            self._commit(change)
        return deleted

    def compact(self) -> int:
        """Join shards that are far below SHARD_BYTES, where there are many; how many went.

        Rows keep their bytes and ids; only files change, and older versions keep theirs.
        """

        def change(table: DeltaTable) -> Change:
            adds = pa.table(storage.patient(self.folder, table.get_add_actions))
            sizes = dict(zip(*(adds[n].to_pylist() for n in ("path", "size_bytes")), strict=True))
            small = sorted(name for name, size in sizes.items() if size < SHARD_BYTES // 2)
            if len(small) < SMALL_SHARDS:
                return Change()
            heaps = [heap for heap in _heaps(small, sizes) if len(heap) > 1]
            return Change(
                remove=[name for heap in heaps for name in heap],
                add=[self._write(self._rows_of(heap)) for heap in heaps],
            )

        return len(self._commit(change).remove) if self.exists else 0

    def vacuum(
        self, *, keep_versions: Collection[int], min_age_s: float, dry_run: bool = False
    ) -> list[Anywhere]:
        """Delete the files that neither the last version nor one of `keep_versions` names, and
        that are older than `min_age_s`: a job that runs now has written what it has not committed.

        Returns the files; with `dry_run` they stay.
        """
        if not self.exists:
            return []
        last = self._open()
        named = set(self._names(last))
        for version in sorted(set(keep_versions) - {last.version()}):
            if 0 <= version < last.version():
                named |= set(self._names(self._open(version)))
        oldest_s = time.time() - min_age_s
        orphans = [
            file.path
            for file in storage.files_below(self.folder)
            if file.modified_s < oldest_s and self._is_orphan(file.path, named)
        ]
        if dry_run:
            return orphans
        gone = []
        for path in orphans:
            # A name is made of content: the same rows may just have been written anew.
            if (file := storage.look(path)) is not None and file.modified_s < oldest_s:
                path.unlink(missing_ok=True)
                gone.append(path)
        return gone

    def _is_orphan(self, path: Anywhere, named: set[str]) -> bool:
        if path.suffix == ".tmp":
            return True
        return path.parent == self.folder and path.suffix == ".parquet" and path.name not in named

    def _commit(self, change: Callable[[DeltaTable], Change], *, create: bool = False) -> Change:
        """Commit what `change` makes of the table as it stands, anew each time another writer was
        faster. Nothing is committed where nothing changes."""
        for _ in range(COMMIT_ATTEMPTS):
            table = self._open_or_create() if create else self._open()
            made = change(table)
            if not made.remove and not made.add:
                return made
            mark = uuid.uuid4().hex
            try:
                self._write_to_log(table, made, mark=mark)
            except CommitFailedError:
                if self._open().version() == table.version():
                    raise  # nobody was faster: the log itself refuses
                if not self._is_marked(table.version() + 1, mark):
                    continue
            if made.remove:
                self._forget_keys()
            else:
                self._keys_are_of |= {shard.name for shard in made.add}
                self._keys.update(key for shard in made.add for key in shard.keys)
            return made
        raise ConflictError(f"{self.folder}: {COMMIT_ATTEMPTS} commits lost to another writer")

    def _write_to_log(self, table: DeltaTable, made: Change, *, mark: str) -> None:
        now_ms = int(time.time() * 1000)
        actions: list[AddAction | RemoveAction] = [
            *(RemoveAction(name, True, now_ms) for name in made.remove),
            *(self._add_action(shard, now_ms) for shard in made.add),
        ]
        # Tried again after an answer that was lost, it is refused, as another writer's would be.
        storage.patient(
            self.folder,
            lambda: table.create_write_transaction(
                actions,
                mode="append",
                schema=self.schema,
                commit_properties=_next(table, mark=mark),
            ),
        )

    def _is_marked(self, version: int, mark: str) -> bool:
        """Whether that commit is the one with this mark: taken by the store, though it seemed not
        to be."""
        entry = self.folder / LOG / f"{version:020d}.json"
        return entry.is_file() and mark in entry.read_text()

    def _open(self, version: int | None = None) -> DeltaTable:
        def load() -> DeltaTable:
            options = storage.delta_options(self.folder)
            return DeltaTable(str(self.folder), version=version, storage_options=options)

        try:
            table = storage.patient(self.folder, load)
        except DeltaError as error:
            raise UserError(_unreadable(self.folder, version, error)) from error
        self._check_schema(table)
        return table

    def _check_schema(self, table: DeltaTable) -> None:
        found, needed = pa.schema(table.schema()), self.schema
        if found.names != needed.names:
            raise UserError(
                f"table {self.folder} has the columns {found.names}, this version needs "
                f"{needed.names}: extract into a new dataset folder"
            )

    def _open_or_create(self) -> DeltaTable:
        if not self.exists:
            self.folder.mkdir(parents=True, exist_ok=True)

            def make() -> None:
                DeltaTable.create(
                    str(self.folder),
                    schema=self.schema,
                    mode="ignore",
                    configuration=FOR_EVER,
                    storage_options=storage.delta_options(self.folder),
                )

            try:
                storage.patient(self.folder, make)
            except CommitFailedError:
                if not self.exists:  # else another writer has created it meanwhile
                    raise
        return self._open()

    def _names(self, table: DeltaTable) -> list[str]:
        adds = storage.patient(self.folder, table.get_add_actions)
        return sorted(pa.table(adds)["path"].to_pylist())

    def _keys_of(self, name: str) -> tuple[str, ...]:
        return row_keys(read_parquet(self.folder / name, list(self.key)), self.key)

    def _without_known_rows(self, shards: Sequence[Shard]) -> list[Shard]:
        known, added = self.keys(), set[str]()
        fresh: list[Shard] = []
        for shard in shards:
            new = []
            for key in shard.keys:
                new.append(key not in known and key not in added)
                added.add(key)
            if all(new):
                fresh.append(shard)
            elif any(new):
                rows = read_parquet(self.folder / shard.name)
                fresh.append(write_shard(self.folder, rows.filter(pa.array(new)), key=self.key))
        return fresh

    def _add_action(self, shard: Shard, now_ms: int) -> AddAction:
        path = self.folder / shard.name
        if storage.size_bytes(path) != shard.size_bytes:  # the log would take it
            raise RuntimeError(f"shard {path} is gone or not of {shard.size_bytes} bytes")
        return AddAction(
            path=shard.name,
            size=shard.size_bytes,
            partition_values={},
            modification_time=now_ms,
            data_change=True,
            stats=json.dumps({"numRecords": shard.num_rows}),
        )

    def _write(self, rows: pa.Table) -> Shard:
        return write_shard(self.folder, rows, key=self.key)

    def _replacement(self, table: DeltaTable, rows: pa.Table) -> Change:
        before = set(self._names(table))
        after = {shard.name: shard for shard in map(self._write, self._cut(rows))}
        return Change(
            remove=sorted(before - set(after)),
            add=[shard for name, shard in after.items() if name not in before],
        )

    def _rows_of(self, names: Sequence[str]) -> pa.Table:
        parts = (read_parquet(self.folder / name).cast(self.schema) for name in names)
        return pa.concat_tables([self.schema.empty_table(), *parts])

    def _cut(self, rows: pa.Table) -> Iterator[pa.Table]:
        """Rows in parts of about a shard each; none where there are none."""
        step = max(1, rows.num_rows * SHARD_BYTES // max(1, rows.nbytes))
        return (rows.slice(start, step) for start in range(0, rows.num_rows, step))


def read_parquet(path: Anywhere, columns: list[str] | None = None) -> pa.Table:
    """One shard, wherever it lies. Errors: UserError where its columns are no plain values."""
    with schema.reading(path):
        rows = storage.patient(
            path,
            lambda: pq.read_table(
                storage.native(path),
                columns=columns,
                partitioning=None,
                filesystem=storage.filesystem(path),
            ),
        )
    schema.check_plain(rows.schema, where=path)
    return rows


def _is_entry(name: str) -> bool:
    return re.fullmatch(r"\d{20}\.json", name) is not None


def _next(table: DeltaTable, *, mark: str) -> CommitProperties:
    """The number that only one of two writers can have who have read the same state."""
    last = table.transaction_version(APPLICATION) or 0
    return CommitProperties(
        custom_metadata={"mark": mark},
        max_commit_retries=0,
        app_transactions=[Transaction(APPLICATION, last + 1)],
    )


def _heaps(names: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    """The files in heaps of at most about SHARD_BYTES each, in their order."""
    heap, heap_bytes = list[str](), 0
    for name in names:
        if heap and heap_bytes + sizes[name] > SHARD_BYTES:
            yield heap
            heap, heap_bytes = [], 0
        heap.append(name)
        heap_bytes += sizes[name]
    if heap:
        yield heap


def _unreadable(folder: Anywhere, version: int | None, error: DeltaError) -> str:
    which = "" if version is None else f" at version {version}"
    return (
        f"table {folder}{which} cannot be opened, its log is damaged or incomplete ({error}): "
        f"restore {folder}/_delta_log from a copy, or delete the table's folder to make it anew"
    )
