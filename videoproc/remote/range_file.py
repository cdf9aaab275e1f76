"""A file of another machine, of which only the ranges that are read are fetched."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from videoproc.remote.source import Source

Range = tuple[int, int]
"""The bytes [start, stop) of a file."""

BLOCK_BYTES = 256 << 10  # what is fetched around a read that nothing was planned for
MAX_AHEAD_BYTES = 4 << 20  # of a file that is read from front to back
MAX_PIECE_BYTES = 8 << 20  # of a planned range in one request: it waits in memory until read
# Over a shorter gap, its bytes come sooner than the answer to another request would: 128 KiB take
# 10 ms at 100 Mbit/s, and a store's first byte some 30 ms.
MAX_GAP_BYTES = 128 << 10
MAX_CACHE_BYTES = 32 << 20


class RangeFile(io.RawIOBase):
    """A read-only, seekable file over `source`, which is closed with it.

    Like any raw file it may return less than was asked for: up to the end of what is here, of a
    planned range or of a blank one. Fetched bytes stay in memory, up to `MAX_CACHE_BYTES`, those
    used longest ago go first. Raises OSError for what the source cannot give, FileNotFoundError
    where there is nothing.
    """

    def __init__(self, source: Source) -> None:
        super().__init__()
        self._source = source
        self._position = 0
        self._pieces: list[Range] | None = None
        self._blanks: list[Range] = []
        self._zeros = b""
        self._parts: OrderedDict[int, bytes] = OrderedDict()  # by start, last used last
        self._starts: list[int] = []  # of the parts, ascending
        self._cached_bytes = 0
        self._last_stop = 0
        self._ahead_bytes = BLOCK_BYTES
        try:
            self._keep(0, source.fetch(0, BLOCK_BYTES))
        except BaseException:
            source.close()
            raise

    @property
    def size(self) -> int:
        return self._source.total_bytes

    @property
    def bytes_fetched(self) -> int:
        """Bytes that came over the wire so far, those of broken answers too."""
        return self._source.bytes_fetched

    @property
    def num_requests(self) -> int:
        return self._source.num_requests

    @property
    def name(self) -> str:
        """What FFmpeg takes for the file's name. By that of another protocol it would read ahead
        in steps of megabytes, as its own network readers do, past whatever is planned here."""
        return "file:" + self._source.name.rpartition("/")[2]

    def plan(self, ranges: Sequence[Range] | None) -> None:
        """Say what will be read: each range is fetched by one request (of `MAX_PIECE_BYTES` at
        most) when its first byte is, near ones together. Beside them only what a read asks for is
        fetched. None or nothing ends the plan."""
        self._pieces = None
        if ranges:
            self._pieces = [
                (start, min(start + MAX_PIECE_BYTES, stop))
                for first, stop in merged(ranges, gap_bytes=MAX_GAP_BYTES)
                for start in range(first, stop, MAX_PIECE_BYTES)
            ]

    def blank(self, ranges: Sequence[Range]) -> None:
        """Say what need not be true: these ranges read as zeros and cost nothing. Nothing ends it.

        Bytes that were fetched before read as zeros, too.
        """
        self._blanks = merged(ranges, gap_bytes=0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise OSError(22, f"{self._source.name} has no byte {base + offset}")
        self._position = base + offset
        return self._position

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return self.readall()
        content = self._read_some(size)
        self._position += len(content)
        return content

    def readinto(self, buffer: Any, /) -> int:
        content = self.read(len(memoryview(buffer).cast("B")))
        memoryview(buffer).cast("B")[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        chunks = []
        while chunk := self.read(MAX_AHEAD_BYTES):
            chunks.append(chunk)
        return b"".join(chunks)

    def close(self) -> None:
        if not self.closed:
            self._source.close()
            self._parts.clear()
        super().close()

    def _read_some(self, size: int) -> bytes:
        if self.closed:
            raise ValueError(f"{self._source.name} is closed")
        position = self._position
        if size == 0 or position >= self.size:
            return b""
        before, after = _around(self._blanks, position)
        if position < before:
            return self._blank_bytes(min(size, before - position))
        start, part = self._part_at(position)
        if part is None:
            start, part = self._fetch(position, size, after_blank=before, next_blank=after)
        offset = position - start
        return part[offset : min(offset + size, after - start)]

    def _blank_bytes(self, size: int) -> bytes:
        if len(self._zeros) != size:  # a demuxer reads in equal steps
            self._zeros = bytes(size)
        return self._zeros

    def _part_at(self, position: int) -> tuple[int, bytes | None]:
        i = bisect_right(self._starts, position) - 1
        if i >= 0:
            start = self._starts[i]
            part = self._parts[start]
            if position < start + len(part):
                self._parts.move_to_end(start)
                return start, part
        return 0, None

    def _fetch(
        self, position: int, size: int, *, after_blank: int, next_blank: int
    ) -> tuple[int, bytes]:
        """Fetch what to keep around `position`, between what is there and what is blank."""
        start, stop = self._wanted(position, size)
        i = bisect_right(self._starts, position)
        if i > 0:
            start = max(start, self._starts[i - 1] + len(self._parts[self._starts[i - 1]]))
        if i < len(self._starts):
            stop = min(stop, self._starts[i])
        start, stop = max(start, after_blank), min(stop, next_blank, self.size)
        part = self._source.fetch(start, stop)
        if len(part) != stop - start:
            raise OSError(f"{self._source.name} changed while it was read")
        self._keep(start, part)
        return start, part

    def _wanted(self, position: int, size: int) -> Range:
        if self._pieces is not None:
            i = bisect_right(self._pieces, position, key=lambda piece: piece[0])
            if i > 0 and position < self._pieces[i - 1][1]:
                return self._pieces[i - 1]
            next_piece = self._pieces[i][0] if i < len(self._pieces) else self.size
            return position, min(position + size, next_piece)
        is_sequential = position == self._last_stop
        grown = min(2 * self._ahead_bytes, MAX_AHEAD_BYTES)
        self._ahead_bytes = grown if is_sequential else BLOCK_BYTES
        # FFmpeg goes back by a little at times: a block begins where blocks do.
        start = position - position % BLOCK_BYTES
        return start, max(start + self._ahead_bytes, position + min(size, MAX_PIECE_BYTES))

    def _keep(self, start: int, part: bytes) -> None:
        self._last_stop = start + len(part)
        if not part:
            return
        self._parts[start] = part
        self._starts.insert(bisect_right(self._starts, start), start)
        self._cached_bytes += len(part)
        while self._cached_bytes > MAX_CACHE_BYTES and len(self._parts) > 1:
            oldest, dropped = self._parts.popitem(last=False)
            del self._starts[bisect_right(self._starts, oldest) - 1]
            self._cached_bytes -= len(dropped)


def merged(ranges: Sequence[Range], *, gap_bytes: int) -> list[Range]:
    """The ranges in order, those that overlap or are nearer than `gap_bytes` as one."""
    joined: list[Range] = []
    for start, stop in sorted(ranges):
        if start >= stop:
            continue
        if joined and start - joined[-1][1] <= gap_bytes:
            joined[-1] = (joined[-1][0], max(joined[-1][1], stop))
        else:
            joined.append((start, stop))
    return joined


def _around(blanks: Sequence[Range], position: int) -> Range:
    """The end of the last blank range that begins at or before `position`, and the next's start."""
    i = bisect_right(blanks, position, key=lambda blank: blank[0])
    return (
        blanks[i - 1][1] if i > 0 else 0,
        blanks[i][0] if i < len(blanks) else 1 << 62,
    )
