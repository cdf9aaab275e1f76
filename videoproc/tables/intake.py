"""The driver's side: receipts come in, commits go out, failures go into quarantine."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from videoproc.tables import quarantine
from videoproc.tables.dataset import Dataset
from videoproc.tables.quarantine import quarantine_row
from videoproc.tables.table import Table
from videoproc.tables.write import Shard

COMMIT_EVERY_S = 5.0  # what a kill can cost; a commit takes about 0.05 s


@dataclass(kw_only=True)
class Intake:
    """Commits what receipts promise and counts it. Data first: quarantine rows come last."""

    tables: Mapping[str, Table]
    dataset: Dataset
    recipe_id: str
    commit_every_s: float = COMMIT_EVERY_S
    num_rows: int = 0
    bytes_fetched: int = 0
    committed: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _shards: defaultdict[str, list[Shard]] = field(default_factory=lambda: defaultdict(list))
    failed_rows: list[dict[str, Any]] = field(default_factory=list)
    _failed: list[dict[str, Any]] = field(default_factory=list)

    def take(self, receipts: Iterable[Mapping[str, Any]]) -> Iterator[None]:
        """Take receipts in as they come; yields after each, so that progress can be shown."""
        last_commit = time.monotonic()
        try:
            for receipt in receipts:
                self._note(receipt)
                if time.monotonic() - last_commit > self.commit_every_s:
                    self.commit()
                    last_commit = time.monotonic()
                yield
        finally:
            self.commit()

    def commit(self) -> None:
        started = time.monotonic()
        for name, table in self.tables.items():
            shards = self._shards.pop(name, [])
            self.committed[name] += table.append(shards) if shards else 0
        self._put_into_quarantine()
        self.seconds["commit"] += time.monotonic() - started

    def _put_into_quarantine(self) -> None:
        if not self._failed:
            return
        quarantine.put(
            self.dataset.quarantine,
            [
                quarantine_row(
                    recipe_id=self.recipe_id, digest=self._digests.get(row["video_id"], ""), **row
                )
                for row in self._failed
            ],
        )
        self._failed = []

    @cached_property
    def _digests(self) -> dict[str, str]:
        ids = self.dataset.manifest.read(["video_id", "digest"]).to_pydict()
        return dict(zip(ids["video_id"], ids["digest"], strict=True))

    def _note(self, receipt: Mapping[str, Any]) -> None:
        self.num_rows += receipt["num_rows"]
        self.bytes_fetched += receipt["bytes_fetched"]
        for shard in receipt["shards"]:
            values = {key: shard[key] for key in ("name", "size_bytes", "num_rows")}
            self._shards[shard["table"]].append(Shard(keys=tuple(shard["keys"]), **values))
        for failure in receipt["failures"]:
            self._failed.append(dict(failure))
            self.failed_rows.append(dict(failure))
            self.failures[failure["error_class"]] += 1
        for item in receipt["seconds"]:
            self.seconds[item["step"]] += item["seconds"]
