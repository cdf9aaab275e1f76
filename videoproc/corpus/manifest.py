"""The manifest: one row for each distinct video of a corpus, readable or not."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import pyarrow as pa

from videoproc import schema
from videoproc.corpus.examine import Finding, examine, fingerprint
from videoproc.corpus.layouts import Entry
from videoproc.corpus.splits import SplitConfig, assign, group_of
from videoproc.media import Limits, MediaError
from videoproc.media.isolate import Isolated
from videoproc.types import Video

LIMITS = Limits(timeout_s=600.0)  # every byte is read, twice: 30 GB at 100 MB/s


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """duplicates: (kept uri, dropped uri) of files that are the same to the byte."""

    videos: list[Video]
    duplicates: list[tuple[str, str]]

    @property
    def failed(self) -> list[Video]:
        """The videos that cannot be used; each says why in its `error`."""
        return [video for video in self.videos if video.error is not None]


def build(
    entries: Sequence[Entry],
    *,
    split: SplitConfig,
    workers: int,
    on_progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Read every listed file's bytes and header, in `workers` child processes, and split.

    A bad file costs itself only: its row has an `error`. Files that are the same to the byte make
    one row, that of the first uri; where their labels differ, nobody knows which is right, and
    the row has an error that names them. A column `split` of the list is taken as given.
    on_progress: called with the files done and their number.
    Errors: UserError where groups or splits cannot be made (see `group_of` and `assign`).
    """
    entries = sorted(entries, key=lambda entry: (entry.uri, entry.label or ""))
    # Before any file is read: a wrong expression must not cost an hour of reading.
    groups = [None if split.group is None else group_of(entry, split.group) for entry in entries]
    same_bytes: dict[str, list[Video]] = defaultdict(list)
    examined = _examine_all([entry.uri for entry in entries], workers=workers)
    for done, (entry, group, finding) in enumerate(zip(entries, groups, examined, strict=True), 1):
        same_bytes[finding.digest].append(_video(entry, group, finding))
        if on_progress is not None:
            on_progress(done, len(entries))
    videos = assign([_merge(same) for same in same_bytes.values()], split)
    duplicates = [(same[0].uri, other.uri) for same in same_bytes.values() for other in same[1:]]
    return Manifest(videos=videos, duplicates=duplicates)


def _examine_all(uris: Sequence[str], *, workers: int) -> Iterator[Finding]:
    with Isolated(max_workers=workers) as children:
        for uri, finding in children.map(examine, uris, limits=LIMITS):
            if isinstance(finding, MediaError):
                # The child died of this file, and took the digest with it.
                yield replace(fingerprint(uri), error=str(finding))
            else:
                yield finding


def _video(entry: Entry, group: str | None, finding: Finding) -> Video:
    header = {} if finding.header is None else asdict(finding.header)
    return Video(
        video_id=schema.video_id(finding.digest),
        digest=finding.digest,
        uri=entry.uri,
        size_bytes=finding.size_bytes,
        label=entry.label,
        group=group,
        split=entry.columns.get("split") or None,
        error=finding.error,
        **header,
    )


def _merge(same: Sequence[Video]) -> Video:
    """One row for listed files of the same bytes, the first one's, with the label of any."""
    first = same[0]
    labelled = [video for video in same if video.label is not None]
    if first.error is None and len({video.label for video in labelled}) > 1:
        said = ", ".join(f"{video.uri!r} is {video.label!r}" for video in labelled)
        return replace(first, label=None, split=None, error=f"same bytes, several labels: {said}")
    return replace(first, label=labelled[0].label if labelled else None)


def digest(videos: Sequence[Video]) -> str:
    """64 hex digits that say what the videos are and what is held true of them, in any order.

    Where the files lie does not count: a corpus that was moved is the same corpus.
    """
    rows = sorted(
        schema.content_id(v.digest, v.label, v.group, v.split, v.error is None) for v in videos
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def to_table(videos: Sequence[Video]) -> pa.Table:
    """The videos as rows of schema.MANIFEST."""
    return pa.Table.from_pylist([asdict(video) for video in videos], schema=schema.MANIFEST)


def from_table(table: pa.Table) -> list[Video]:
    """The videos of a table with (at least) the columns of schema.MANIFEST."""
    return [Video(**row) for row in table.select(schema.MANIFEST.names).to_pylist()]
