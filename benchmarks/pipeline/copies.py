"""A corpus of any size out of a few real videos: copies that nothing takes for the same."""

from __future__ import annotations

import itertools
import random
import struct
from collections.abc import Iterator
from pathlib import Path


def write_copies(source: Path, folder: Path, *, count: int) -> list[Path]:
    """`count` copies of the MP4 files below `source`, in turn, in folders of 1,000. The files stand
    in an order of chance, always the same: a few of the copies are as the whole is.

    A trailing `free` box of the container makes each distinct: decoders pass over it, digests do
    not. Errors: SystemExit where there is no such file.
    """
    files = sorted(source.rglob("*.mp4"))
    random.Random(0).shuffle(files)
    originals = [path.read_bytes() for path in files]
    if not originals:
        raise SystemExit(f"--data {source} holds no .mp4 file: name the folder that does")
    return list(_written(originals, folder, count=count))


def _written(originals: list[bytes], folder: Path, *, count: int) -> Iterator[Path]:
    for i, content in enumerate(itertools.islice(itertools.cycle(originals), count)):
        path = folder / f"{i // 1000:03d}" / f"{i:06d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content + struct.pack(">I4sQ", 16, b"free", i))
        yield path
