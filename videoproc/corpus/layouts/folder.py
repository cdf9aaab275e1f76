"""Folders as classes: source/<label>/.../video.mp4. What lies directly in source has no label."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from videoproc import storage
from videoproc.corpus.layouts.entry import Entry
from videoproc.storage import Anywhere
from videoproc.types import UserError

log = logging.getLogger(__name__)

VIDEO_SUFFIXES = frozenset(
    f".{name}"
    for names in (
        ("mp4", "m4v", "mov", "qt", "3gp", "3g2", "f4v"),
        ("mkv", "webm", "avi", "divx", "flv", "wmv", "asf", "rm", "rmvb"),
        ("mpg", "mpeg", "mpe", "m2v", "ts", "mts", "m2ts", "vob", "dv", "mxf"),
        ("ogv", "ogg", "ogm", "nut", "ivf", "y4m", "mjpg", "mjpeg", "h264", "hevc", "gif"),
    )
    for name in names
)


def list_videos(source: Anywhere) -> list[Entry]:
    """The files under `source` that are videos by their suffix, sorted by path.

    The label is the name of the first folder below `source`. Other files are counted in the log.
    Hidden ones (.DS_Store, ._clip.mp4) are passed over, and linked folders are not entered.
    Errors: UserError if `source` is no folder or holds no video.
    """
    if not source.is_dir():
        raise UserError(f"corpus {str(source)!r} is not a folder; give the folder of the videos")
    root = source.resolve()
    names = [file.relative_to(root) for file in storage.names_below(root)]  # type: ignore[arg-type]
    shown = [name for name in names if not any(part.startswith(".") for part in name.parts)]
    videos = sorted(name for name in shown if name.suffix.lower() in VIDEO_SUFFIXES)
    if not videos:
        raise UserError(
            f"corpus {str(source)!r} holds no video among its {len(shown)} files; known suffixes "
            f"are {' '.join(sorted(VIDEO_SUFFIXES))}"
        )
    if ignored := len(shown) - len(videos):
        log.info("%d of %d files under %s are no videos: ignored", ignored, len(shown), root)
    return [
        Entry(uri=_text(root / name), labels=name.parts[:1] if len(name.parts) > 1 else ())
        for name in videos
    ]


def _text(place: Anywhere) -> str:
    """The place as text that tables can hold. A name that is no UTF-8 is written with escapes, and
    the file behind it, which has another name, ends in quarantine under this one."""
    if isinstance(place, Path):
        return os.fsencode(place).decode("utf-8", "backslashreplace")
    return str(place)
