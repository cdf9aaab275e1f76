"""One object of another machine, fetched range by range, with patience and a count of the bytes."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import IO, Any

from videoproc.remote.patience import TryAgainError, away, in_object_store, patiently, store_of

MAX_WHOLE_BYTES = 4 << 30
CHUNK_BYTES = 1 << 16
CUT = "the connection was cut"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A store's answer to one request, its body not yet read.

    total_bytes: the object's size, None where unsaid. tag: changes when the content does; empty
    where unsaid. is_whole: the range was ignored, the body is the object from its first byte.
    """

    total_bytes: int | None
    tag: str
    chunks: Iterator[bytes]
    is_whole: bool = False


class Source(ABC):
    """name: for messages, without secrets. num_requests, bytes_fetched: so far, failed tries too.

    A store that ignores ranges is asked once: the whole object goes to a temporary file, which has
    no name and ends with the source. max_whole_bytes: an object larger than that is refused then.
    """

    def __init__(self, name: str, *, max_whole_bytes: int = MAX_WHOLE_BYTES) -> None:
        self.name = name
        self.num_requests = 0
        self.bytes_fetched = 0
        self._max_whole_bytes = max_whole_bytes
        self._total_bytes: int | None = None
        self._tag = ""
        self._whole: IO[bytes] | None = None

    @abstractmethod
    def _ask(self, start: int, stop: int) -> AbstractContextManager[Answer]:
        """One request for the bytes [start, stop). Raises OSError, TryAgainError."""

    @property
    def _store(self) -> str:
        """What is waited for where it does not answer."""
        return store_of(self.name)

    def _give_up(self, why: str) -> Exception:
        return away(self.name, why)

    @property
    def total_bytes(self) -> int:
        """The object's size; known after the first fetch."""
        assert self._total_bytes is not None
        return self._total_bytes

    def close(self) -> None:
        if self._whole is not None:
            self._whole.close()

    def fetch(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop), fewer where the object ends.

        Raises OSError: one line, with the name; FileNotFoundError where there is no such object;
        StoreAwayError where an object store does not answer.
        """
        if self._whole is None:
            parts: list[bytes] = []
            patiently(
                lambda: self._go_on(parts, start, stop), store=self._store, give_up=self._give_up
            )
        return b"".join(parts) if self._whole is None else self._from_whole(start, stop)

    def _go_on(self, parts: list[bytes], start: int, stop: int) -> None:
        """Ask for what `parts` still lacks of [start, stop); some stores give it bit by bit."""
        position = start + sum(map(len, parts))
        while self._total_bytes is None or position < min(stop, self._total_bytes):
            before = position
            with self._ask(position, stop) as answer:
                self._check_same(answer)
                if answer.is_whole:
                    self._keep_whole(answer)
                    return
                for chunk in self._counted(answer.chunks):
                    parts.append(chunk[: stop - position])
                    position += len(parts[-1])
                    if len(parts[-1]) < len(chunk):  # more than was asked for, perhaps without end
                        break
            if position == before < min(stop, self.total_bytes):
                raise TryAgainError(CUT)

    def _counted(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self.bytes_fetched += len(chunk)
            yield chunk

    def _check_same(self, answer: Answer) -> None:
        """Two ranges must be of one content."""
        if self._total_bytes is None:
            self._total_bytes, self._tag = answer.total_bytes, answer.tag
        elif (self._total_bytes, self._tag) != (answer.total_bytes, answer.tag):
            raise OSError(f"{self.name} changed while it was read")

    def _keep_whole(self, answer: Answer) -> None:
        limit = f"more than the {self._max_whole_bytes} bytes that are fetched then"
        if (answer.total_bytes or 0) > self._max_whole_bytes:
            raise OSError(f"{self.name} cannot be read by ranges, and has {limit}")
        whole = tempfile.TemporaryFile()  # noqa: SIM115  closed with the source
        try:
            for chunk in self._counted(answer.chunks):
                if whole.tell() + len(chunk) > self._max_whole_bytes:
                    raise OSError(f"{self.name} cannot be read by ranges, and has {limit}")
                whole.write(chunk)
            if answer.total_bytes is not None and whole.tell() != answer.total_bytes:
                raise TryAgainError(CUT)
        except BaseException:
            whole.close()
            raise
        self._whole, self._total_bytes = whole, whole.tell()

    def _from_whole(self, start: int, stop: int) -> bytes:
        assert self._whole is not None
        self._whole.seek(start)
        return self._whole.read(stop - start)


class ArrowSource(Source):
    """What a pyarrow filesystem opens, for stores without a client of their own here.

    file: pyarrow.NativeFile, which retries by itself and stays with the content that it opened.
    """

    def __init__(self, file: Any, *, name: str) -> None:
        super().__init__(name)
        self._file = file
        self._total_bytes = int(file.size())

    def _ask(self, start: int, stop: int) -> AbstractContextManager[Answer]:
        num_bytes = max(0, min(stop, self.total_bytes) - start)
        content = bytes(in_object_store(self.name, lambda: self._file.read_at(num_bytes, start)))
        self.num_requests += 1
        return nullcontext(Answer(total_bytes=self.total_bytes, tag="", chunks=iter((content,))))

    def close(self) -> None:
        self._file.close()
