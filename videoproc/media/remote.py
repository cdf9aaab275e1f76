"""The packets of a remote MP4 or MOV, learnt from its index: the pictures are not fetched.

These containers keep times, sizes and key frames apart from the media data (`mdat`), and FFmpeg's
demuxer passes the data on without a look, unless a parser looks for it. So with parsers off and the
data read as zeros, which costs nothing, every packet comes out as it would, but for its content.
Matroska, AVI, MPEG and others keep what tells of packets between them, or leave times out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

import av
from av.container import InputContainer

from videoproc.remote import RangeFile
from videoproc.remote.range_file import Range

NO_PARSERS = {"fflags": "noparse"}
"""What `av.open` must be told; a parser that sees zeros finds wrong key frames and sizes."""

# Read truly at the start of a fragmented file, for what FFmpeg must see of pictures to open it: it
# looks at 20 frames for their rate. A file of one piece is opened before its data is blank.
NUM_TRUE_BYTES = 1 << 20
HEAD_BYTES = 4 << 10  # of a box: most `moof` boxes are not larger
NEAR_BYTES = 256 << 10  # past less data than this it is cheaper to read on
FIRST_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")


@dataclass(frozen=True, kw_only=True)
class MediaData:
    """Where a file keeps its media data: nowhere, if it is no MP4 or MOV."""

    ranges: tuple[Range, ...] = ()
    is_fragmented: bool = False


@contextmanager
def open_for_times(
    file: RangeFile, *, options: dict[str, str] | None = None
) -> Iterator[InputContainer]:
    """A container to demux, once, for its packets' times, sizes, places and flags alone.

    Those equal what the plain file's packets have; what is in the packets may be zeros. Of an MP4
    or MOV the index is fetched and no more than a MiB or two of data, of other files whatever is
    demuxed. options: for FFmpeg. `file` can be opened again afterwards, and reads truly then.
    Raises OSError, av.FFmpegError.
    """
    data = find_media_data(file)
    file.seek(0)
    if not data.ranges:
        with _open(file, options or {}) as container:
            yield container
        return
    try:
        if data.is_fragmented:  # opening passes over all fragments
            file.blank(_without_first(data.ranges, NUM_TRUE_BYTES))
        with _open(file, NO_PARSERS | (options or {})) as container:
            contexts = [s.codec_context for s in container.streams.video if s.codec_context]
            # In VP8 the packets alone say whether a frame is shown.
            is_vp8 = "vp8" in {context.codec.canonical_name for context in contexts}
            file.blank(() if is_vp8 else data.ranges)
            yield container
    finally:
        file.blank(())
        file.seek(0)


@contextmanager
def _open(file: RangeFile, options: dict[str, str]) -> Iterator[InputContainer]:
    with closing(av.open(file, "r", metadata_errors="replace", options=options)) as container:
        yield container


def find_media_data(file: RangeFile) -> MediaData:
    """Pass from box to box (ISO/IEC 14496-12, 4.2). Moves `file`, and ends a plan of it."""
    ranges: list[Range] = []
    is_fragmented = False
    position = 0
    while position + 8 <= file.size:
        far = bool(ranges) and ranges[-1][1] - ranges[-1][0] > NEAR_BYTES
        file.plan([(position, position + HEAD_BYTES)] if is_fragmented and far else None)
        kind, head_bytes, box_bytes = _box(file, position)
        if (position == 0 and kind not in FIRST_BOXES) or box_bytes < head_bytes:
            break
        if kind == b"mdat":
            ranges.append((position + head_bytes, min(position + box_bytes, file.size)))
        is_fragmented |= kind == b"moof"
        position += box_bytes
    file.plan(None)
    return MediaData(ranges=tuple(ranges), is_fragmented=is_fragmented)


def _box(file: RangeFile, position: int) -> tuple[bytes, int, int]:
    """What a box is called, and how long are its head and all of it; 0 to the end of the file."""
    file.seek(position)
    head = b""
    while len(head) < 16 and (more := file.read(16 - len(head))):
        head += more
    short, kind = int.from_bytes(head[:4], "big"), head[4:8]
    if short == 1:
        return kind, 16, int.from_bytes(head[8:], "big")
    return kind, 8, short or file.size - position


def _without_first(ranges: Sequence[Range], num_bytes: int) -> list[Range]:
    rest: list[Range] = []
    for start, stop in ranges:
        true_bytes = min(num_bytes, stop - start)
        rest.append((start + true_bytes, stop))
        num_bytes -= true_bytes
    return rest
