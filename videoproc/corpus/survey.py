"""Looking at a corpus again: only files that have changed are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial

import pyarrow as pa

from videoproc import schema, storage
from videoproc.corpus.examine import EXAMINE_VERSION, Finding, examine, find, fingerprint, unread
from videoproc.media import Header, Limits, MediaError
from videoproc.media.isolate import Isolated
from videoproc.roots import Roots
from videoproc.storage import File
from videoproc.types import Row, UserError

LIMITS = Limits(timeout_s=600.0)  # every byte is read, twice: 30 GB at 100 MB/s
LOOKING_THREADS = 32  # a look at a file in an object store is one request, and mostly waiting

HEADER_FIELDS = tuple(Header.__dataclass_fields__)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A file as it was when it was read: it is not read again while size and stamp stay.

    An empty stamp never matches: such a file could not even be looked at.
    """

    uri: str
    stamp: str
    finding: Finding
    examined: int = EXAMINE_VERSION

    def is_still(self, file: File | None) -> bool:
        return (
            file is not None
            and self.examined == EXAMINE_VERSION
            and self.stamp == file.stamp
            and self.finding.size_bytes == file.size_bytes
        )


def survey(
    uris: Sequence[str],
    *,
    known: Mapping[str, Seen],
    again: Collection[str],
    workers: int,
    limits: Limits = LIMITS,
    roots: Roots | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Seen], int]:
    """What each of `uris` is, in their order, and how many of them had to be read.

    known: by uri, what an earlier look has found. again: uris that are read in any case. roots:
    where files may lie; what lies elsewhere is not even looked at.
    on_progress: called with the files read and the number to read.
    """
    with ThreadPoolExecutor(LOOKING_THREADS) as threads:
        files = dict(zip(uris, threads.map(partial(_look, roots=roots), uris), strict=True))
    stale = [
        uri
        for uri in dict.fromkeys(uris)
        if uri in again or uri not in known or not known[uri].is_still(files[uri])
    ]
    read: dict[str, Seen] = {}
    for uri, finding in _examine_all(stale, workers=workers, limits=limits, roots=roots):
        file = files[uri]
        # A file that grew while it was read is read again next time.
        unchanged = file is not None and file.size_bytes == finding.size_bytes
        read[uri] = Seen(uri=uri, stamp=file.stamp if file and unchanged else "", finding=finding)
        if on_progress is not None:
            on_progress(len(read), len(stale))
    return [read.get(uri) or known[uri] for uri in uris], len(stale)


def _look(uri: str, roots: Roots | None) -> File | None:
    try:
        return storage.look(find(uri, roots))
    except (OSError, UserError):
        return None  # reading it says why


def _examine_all(
    uris: Sequence[str], *, workers: int, limits: Limits, roots: Roots | None
) -> Iterator[tuple[str, Finding]]:
    if not uris:
        return
    # Waiting for a store that is away is no fault of a file.
    within = replace(limits, timeout_s=limits.timeout_s + storage.most_waiting_s(uris))
    with Isolated(max_workers=min(workers, len(uris))) as children:
        look = partial(examine, limits=limits, roots=roots)
        for uri, finding in children.map(look, uris, limits=within):
            if isinstance(finding, MediaError):
                # The child died of this file, and took the digest with it. Not here: what hangs
                # there hangs here, and nothing would end it.
                digested = children.outcome(partial(fingerprint, roots=roots), uri, limits=within)
                if isinstance(digested, MediaError):
                    digested = unread(uri, error=str(finding))
                yield uri, replace(digested, error=str(finding))
            else:
                yield uri, finding


def to_table(seen: Sequence[Seen]) -> pa.Table:
    """Rows of schema.FILES, one a uri."""
    by_uri = {item.uri: item for item in seen}
    rows = [
        {
            "uri": item.uri,
            "size_bytes": item.finding.size_bytes,
            "stamp": item.stamp,
            "examined": item.examined,
            "digest": item.finding.digest,
            "error": item.finding.error,
        }
        | (asdict(item.finding.header) if item.finding.header else {})
        for _, item in sorted(by_uri.items())
    ]
    return pa.Table.from_pylist(rows, schema=schema.FILES)


def _header(row: Row) -> Header:
    values = {name: row[name] for name in HEADER_FIELDS}
    return Header(**values | {"flags": tuple(row["flags"] or ())})


def from_table(table: pa.Table) -> dict[str, Seen]:
    """What `to_table` has written, by uri."""
    return {
        row["uri"]: Seen(
            uri=row["uri"],
            stamp=row["stamp"],
            examined=row["examined"],
            finding=Finding(
                digest=row["digest"],
                size_bytes=row["size_bytes"],
                error=row["error"],
                header=None if row["codec"] is None else _header(row),
            ),
        )
        for row in table.to_pylist()
    }
