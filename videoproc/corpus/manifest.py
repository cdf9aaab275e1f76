"""The manifest: one row for each distinct video of a corpus, readable or not."""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

import pyarrow as pa

from videoproc import schema
from videoproc.corpus.examine import Finding
from videoproc.corpus.layouts import SPLITS, Entry
from videoproc.corpus.splits import (
    SplitConfig,
    assign,
    assign_val,
    check_no_leak,
    group_of,
    lacks_val,
)
from videoproc.corpus.survey import LIMITS, Seen, survey
from videoproc.media import Limits
from videoproc.roots import Roots
from videoproc.types import Row, UserError, Video

MIN_DIGEST_CHARS = 8
BATCH = 10_000


class NoSuchVideoError(UserError):
    """A text that names no video of a manifest."""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What an earlier night has left: files by uri, the videos, and who must not come back.

    again: uris that are read even if they look unchanged. keep_splits: whether videos keep the
    split that they have, since it was dealt by the same settings.
    """

    files: Mapping[str, Seen] = field(default_factory=dict)
    videos: Sequence[Video] = ()
    forgotten: Collection[str] = ()
    again: Collection[str] = ()
    keep_splits: bool = False


@dataclass(frozen=True, kw_only=True)
class Changes:
    """Videos by what has happened to them since the last night.

    new: not there before. changed: another content under a known uri. moved: known content under
    another uri. relabelled: another label, group or split. deleted: no longer in the corpus.
    known: how many there were before. before: by id, what those moved or relabelled were.
    """

    new: Sequence[Video] = ()
    changed: Sequence[Video] = ()
    moved: Sequence[Video] = ()
    relabelled: Sequence[Video] = ()
    deleted: Sequence[Video] = ()
    unchanged: int = 0
    known: int = 0
    before: Mapping[str, Video] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        return {
            "new": len(self.new),
            "changed": len(self.changed),
            "moved": len(self.moved),
            "relabelled": len(self.relabelled),
            "deleted": len(self.deleted),
            "unchanged": self.unchanged,
        }


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """duplicates: (kept uri, dropped uri) of files that are the same to the byte. files: what each
    file was found to be. num_read: files that had to be read for it. forgotten: files left out.
    val_from_train: videos that the corpus gives to train, and that were dealt to val."""

    videos: list[Video]
    duplicates: list[tuple[str, str]]
    files: list[Seen]
    changes: Changes
    num_read: int
    forgotten: int
    val_from_train: int

    @property
    def failed(self) -> list[Video]:
        """The videos that cannot be used; each says why in its `error`."""
        return [video for video in self.videos if video.error is not None]


def build(
    entries: Sequence[Entry],
    *,
    split: SplitConfig,
    workers: int,
    known: Known | None = None,
    limits: Limits = LIMITS,
    roots: Roots | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Read the bytes and header of every listed file that is not known, in `workers` child
    processes, and split.

    A bad file costs itself only: its row has an `error`. Files that are the same to the byte make
    one row, that of the first uri; where their labels differ, nobody knows which is right, and
    the row has an error that names them. A file that is listed several times has all the labels.
    A split that the corpus gives is kept, with two exceptions: where it gives train to some and val
    to none, val is dealt from the groups of train; and of a video that is listed on several sides,
    only the one in test counts, else the one in val.
    roots: where videos may lie; what lies elsewhere is a bad file. None: anywhere.
    on_progress: called with the files read and the number to read.
    Errors: UserError where groups or splits cannot be made (see `group_of` and `assign`).
    """
    known = known or Known()
    entries = sorted(entries, key=lambda entry: (_rank(entry), entry.uri, entry.labels))
    # Before any file is read: a wrong expression must not cost an hour of reading.
    groups = [
        entry.group if split.group is None else group_of(entry, split.group) for entry in entries
    ]
    files, num_read = survey(
        [entry.uri for entry in entries],
        known=known.files,
        again=known.again,
        workers=workers,
        limits=limits,
        roots=roots,
        on_progress=on_progress,
    )
    same_bytes: dict[str, list[Video]] = defaultdict(list)
    for entry, group, seen in zip(entries, groups, files, strict=True):
        same_bytes[seen.finding.digest].append(_video(entry, group, seen.finding))
    forgotten = [digest for digest in same_bytes if digest in known.forgotten]
    num_forgotten = sum(len(same_bytes.pop(digest)) for digest in forgotten)
    merged = [_merge(same) for same in same_bytes.values()]
    videos = _assign(merged, known, split)
    duplicates = [
        (uris[0], other)
        for same in same_bytes.values()
        for uris in [list(dict.fromkeys(video.uri for video in same))]
        for other in uris[1:]
    ]
    return Manifest(
        videos=videos,
        duplicates=duplicates,
        files=files,
        changes=compare(known.videos, videos),
        num_read=num_read,
        forgotten=num_forgotten,
        val_from_train=sum(
            (listed.split, video.split) == ("train", "val")
            for listed, video in zip(merged, videos, strict=True)
        ),
    )


def compare(before: Sequence[Video], after: Sequence[Video]) -> Changes:
    """What has happened to each video from one manifest to another."""
    by_id = {video.video_id: video for video in before}
    by_uri = {video.uri: video for video in before}
    kept = {video.video_id for video in after}
    new: list[Video] = []
    changed: list[Video] = []
    moved: list[Video] = []
    relabelled: list[Video] = []
    unchanged = 0
    for video in after:
        earlier = by_id.get(video.video_id)
        if earlier is None:
            (changed if video.uri in by_uri else new).append(video)
            continue
        if earlier.uri != video.uri:
            moved.append(video)
        if _held_true(earlier) != _held_true(video):
            relabelled.append(video)
        unchanged += earlier.uri == video.uri and _held_true(earlier) == _held_true(video)
    replaced = {video.uri for video in changed}
    deleted = [v for v in before if v.video_id not in kept and v.uri not in replaced]
    return Changes(
        new=new,
        changed=changed,
        moved=moved,
        relabelled=relabelled,
        deleted=deleted,
        unchanged=unchanged,
        known=len(before),
        before={video.video_id: by_id[video.video_id] for video in (*moved, *relabelled)},
    )


def _held_true(video: Video) -> tuple[object, ...]:
    return (video.labels, video.group, video.split, video.error)


def _rank(entry: Entry) -> int:
    """Test first: what is kept of a video on several sides must not train."""
    return -SPLITS.index(entry.split) if entry.split else 1


def _assign(listed: Sequence[Video], known: Known, config: SplitConfig) -> list[Video]:
    """The videos with their splits: the given ones, those of earlier nights, and new ones."""
    if not lacks_val(listed, config):
        return assign(_with_kept_splits(listed, known), config)
    check_no_leak(listed)
    free = [replace(video, split=None) for video in listed if video.split == "train"]
    before = [video for video in known.videos if video.split in ("train", "val")]
    dealt = assign_val(_with_kept_splits(free, replace(known, videos=before)), config)
    # Too few unlabelled videos are dealt nowhere: they stay in train.
    split_of = {video.video_id: video.split for video in dealt if video.split is not None}
    return assign(
        [replace(v, split=split_of.get(v.video_id, v.split)) for v in listed],
        config,
    )


def _with_kept_splits(videos: Sequence[Video], known: Known) -> list[Video]:
    """Videos, and the others of their group, stay on the side where they have been."""
    if not known.keep_splits:
        return list(videos)
    of_video = {video.video_id: video.split for video in known.videos}
    of_group = {v.group: v.split for v in known.videos if v.group is not None and v.split}
    given = {video.group for video in videos if video.group is not None and video.split}

    def kept(video: Video) -> str | None:
        if video.split is not None or video.group in given:
            return video.split
        if video.group is not None:
            return of_group.get(video.group)
        return of_video.get(video.video_id)

    return [replace(video, split=kept(video)) for video in videos]


def _video(entry: Entry, group: str | None, finding: Finding) -> Video:
    header = {} if finding.header is None else asdict(finding.header)
    return Video(
        video_id=schema.video_id(finding.digest),
        digest=finding.digest,
        uri=entry.uri,
        size_bytes=finding.size_bytes,
        labels=entry.labels,
        group=group,
        split=entry.split,
        error=finding.error,
        **header,
    )


def _merge(same: Sequence[Video]) -> Video:
    """One row for listed files of the same bytes, the first one's, with the labels of any."""
    by_uri: dict[str, Video] = {}
    for video in same:
        earlier = by_uri.get(video.uri, video)
        labels = tuple(sorted({*earlier.labels, *video.labels}))
        by_uri[video.uri] = replace(earlier, labels=labels)
    first = next(iter(by_uri.values()))
    labelled = [video for video in by_uri.values() if video.labels]
    if first.error is None and len({video.labels for video in labelled}) > 1:
        said = ", ".join(f"{v.uri!r} is {', '.join(map(repr, v.labels))}" for v in labelled)
        return replace(first, labels=(), split=None, error=f"same bytes, several labels: {said}")
    return replace(first, labels=labelled[0].labels if labelled else ())


def find(videos: Sequence[Video], text: str) -> Video:
    """The one video that `text` names: its uri or the end of it, or the beginning of its digest.

    Errors: NoSuchVideoError where there is none, UserError where there are several.
    """
    exact = [video for video in videos if text in (video.uri, video.video_id, video.digest)]
    found = exact or [
        video
        for video in videos
        if video.uri.endswith(f"/{text}")
        or (len(text) >= MIN_DIGEST_CHARS and video.digest.startswith(text))
    ]
    if len(found) > 1:
        uris = ", ".join(video.uri for video in found[:3])
        raise UserError(f"{text!r} names {len(found)} videos ({uris}, ...): give the whole uri")
    if not found:
        raise NoSuchVideoError(
            f"no video {text!r} in the manifest: give its uri, the end of it from a slash on, or "
            f"{MIN_DIGEST_CHARS} digits or more of its digest"
        )
    return found[0]


def digest(videos: Sequence[Video]) -> str:
    """64 hex digits that say what the videos are and what is held true of them, in any order.

    Where the files lie does not count: a corpus that was moved is the same corpus.
    """
    rows = sorted(
        schema.content_id(v.digest, v.labels, v.group, v.split, v.error is None) for v in videos
    )
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def to_table(videos: Sequence[Video]) -> pa.Table:
    """The videos as rows of schema.MANIFEST, in the order of their ids."""
    rows = sorted((asdict(video) for video in videos), key=lambda row: row["video_id"])
    return pa.Table.from_pylist(rows, schema=schema.MANIFEST)


def from_table(table: pa.Table) -> list[Video]:
    """The videos of a table with (at least) the columns of schema.MANIFEST."""
    columns = table.select(schema.MANIFEST.names)
    return [
        _of_row(row)
        for batch in columns.to_batches(max_chunksize=BATCH)  # as dicts, all would be gigabytes
        for row in batch.to_pylist()
    ]


def _of_row(row: Row) -> Video:
    # Many videos share these: one string each instead of a million.
    shared = {name: row[name] and sys.intern(row[name]) for name in ("codec", "group", "split")}
    lists = {
        name: tuple(sys.intern(value) for value in row[name] or ()) for name in ("labels", "flags")
    }
    return Video(**row | shared | lists)
