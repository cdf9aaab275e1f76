"""Calls in a child process that may crash, hang or eat memory, at the cost of that call only.

A child is started anew, never forked, and imports what the called function needs and nothing else.
The kernel ends it together with its parent, however that ends. What the two hand to each other lies
in memory without a name, which goes with the last descriptor: nothing stays behind.
"""

from __future__ import annotations

import ctypes
import io
import itertools
import math
import os
import pickle
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from queue import LifoQueue
from typing import Any, TypeVar

import av

from videoproc.media.errors import MediaError

T = TypeVar("T")
Item = TypeVar("Item")
Packed = tuple[bytes, list[pickle.PickleBuffer]]
"""A pickled value, and the memory of its arrays, which is not copied into it."""

_GIB = 1 << 30
_START_S = 60.0  # for a child to start on a crowded machine, and to take a call
_KEPT_BYTES = 16 << 20  # memory between parent and child that is kept from call to call
_NOTE = struct.Struct("=QQ")  # where in that memory a value lies: start, size
_BEGUN = b"begun"
_PR_SET_PDEATHSIG = 1
# Threads of OpenBLAS and OpenMP that wait take the time of those that decode.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one call may cost, and how large a video may claim to be.

    timeout_s: seconds of one call. max_memory_bytes: address space of the child, its result
    included. max_pixels: of a frame; the default is twice 8K. max_frames: of a video; the default
    is more than a day at 30 frames a second.
    """

    timeout_s: float = 120.0
    max_memory_bytes: int = 4 * _GIB
    max_pixels: int = 1 << 26
    max_frames: int = 1 << 22

    def __post_init__(self) -> None:
        if not (math.isfinite(self.timeout_s) and self.timeout_s > 0):
            raise ValueError(f"timeout_s is {self.timeout_s}: give seconds above 0")
        if self.max_memory_bytes < _GIB // 2:
            raise ValueError(
                f"max_memory_bytes is {self.max_memory_bytes}: give {_GIB // 2} or more, "
                "a decoder and its libraries take up nearly that"
            )
        for name, value in (("max_pixels", self.max_pixels), ("max_frames", self.max_frames)):
            if value < 1:
                raise ValueError(f"{name} is {value}: give 1 or more")


class Isolated:
    """`max_workers` children that take calls from any thread of this process."""

    def __init__(self, *, max_workers: int = 1) -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}: give 1 or more")
        self._max_workers = max_workers
        # Last in, first out: few calls at a time start few children. None: not started.
        self._idle: LifoQueue[_Child | None] = LifoQueue()
        for _ in range(max_workers):
            self._idle.put(None)
        # The kernel ends a child together with the thread that started it: callers' threads end.
        self._starter = ThreadPoolExecutor(1)

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End the children; calls still running are waited for."""
        for _ in range(self._max_workers):
            child = self._idle.get()
            if child is not None:
                child.end()
        self._starter.shutdown()

    def call(
        self,
        fn: Callable[..., T],
        *args: Any,
        timeout_s: float = Limits.timeout_s,
        max_memory_bytes: int = Limits.max_memory_bytes,
        **kwargs: Any,
    ) -> T:
        """`fn(*args, **kwargs)` in a child; waits for a free one first.

        `fn` must be importable by name from a module other than __main__. Arrays in its result
        arrive read-only, and a `pickle.PickleBuffer` arrives as bytes. Raises MediaError "Crash",
        "Timeout" or "OutOfMemory", or the MediaError that `fn` raised; any other exception of
        `fn` comes through as itself.
        """
        request = _pack((fn, args, kwargs, max_memory_bytes))
        kept, child = None, self._idle.get()
        try:
            child = self._begin(child, request)
            is_result, value = child.answer(timeout_s=timeout_s)
            # A child that ran out of memory may hold what the next call would miss.
            kept = None if isinstance(value, MemoryError) else child
        finally:
            if kept is None and child is not None:
                child.end()
            self._idle.put(kept)
        if is_result:
            result: T = value
            return result
        if isinstance(value, MemoryError):
            raise MediaError(
                "OutOfMemory", f"more than {max_memory_bytes} bytes of memory were asked for"
            ) from value
        raise value

    def _begin(self, child: _Child | None, request: Packed) -> _Child:
        """The child that has taken the request: another one where this one died while idle."""
        for _ in range(3):
            child = child or self._starter.submit(_Child).result()
            if child.begin(request):
                return child
            cause, child = child.end(), None
        raise RuntimeError(f"no child process starts; the last one ended by {cause}")

    def map(
        self, fn: Callable[[Item], T], items: Iterable[Item], *, limits: Limits | None = None
    ) -> Iterator[tuple[Item, T | MediaError]]:
        """(item, fn(item) or the MediaError it ended in), in the order of `items`.

        All children work at once; `items` is read only a little ahead of what is yielded.
        """
        limits = limits or Limits()

        def outcome(item: Item) -> T | MediaError:
            try:
                return self.call(
                    fn,
                    item,
                    timeout_s=limits.timeout_s,
                    max_memory_bytes=limits.max_memory_bytes,
                )
            except MediaError as error:
                return error

        with ThreadPoolExecutor(self._max_workers) as threads:
            ahead: deque[tuple[Item, Future[T | MediaError]]] = deque()
            for item in items:
                ahead.append((item, threads.submit(outcome, item)))
                if len(ahead) > 4 * self._max_workers:
                    yield _finished(*ahead.popleft())
            while ahead:
                yield _finished(*ahead.popleft())


def shared() -> Isolated:
    """This process's own single child, started at the first call and kept."""
    global _shared
    with _shared_lock:
        # A forked process inherits the object, but neither its threads nor its child.
        if _shared is None or _shared[0] != os.getpid():
            _shared = (os.getpid(), Isolated())
        return _shared[1]


_shared: tuple[int, Isolated] | None = None
_shared_lock = threading.Lock()


def _finished(item: Item, future: Future[T]) -> tuple[Item, T]:
    return item, future.result()


class _Child:
    """A process that answers one call after the other, as its parent sees it."""

    def __init__(self) -> None:
        self._board = _board(os.memfd_create("videoproc"))
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            inherited = (theirs.fileno(), self._board.fileno())
            # Nothing of the parent's __main__: under Ray that would be the whole stack, seconds
            # and hundreds of megabytes for each child.
            program = (
                f"import sys; sys.path[:] = {sys.path!r}; from videoproc.media import isolate; "
                f"isolate._serve(*{inherited}, parent_pid={os.getpid()})"
            )
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                pass_fds=inherited,
                stdin=subprocess.DEVNULL,
                env=os.environ | _ONE_THREAD,
            )

    def begin(self, request: Packed) -> bool:
        """Hand a call over; False where the child is not there to take it."""
        self._line.settimeout(_START_S)
        try:
            self._line.send(_put(self._board, request))
            return self._line.recv(len(_BEGUN)) == _BEGUN
        except OSError:
            return False

    def answer(self, *, timeout_s: float) -> tuple[bool, Any]:
        """(True, the result) or (False, the exception) of the call.

        Raises MediaError "Crash" or "Timeout".
        """
        self._line.settimeout(timeout_s)
        try:
            note = self._line.recv(_NOTE.size)
        except TimeoutError as error:
            raise MediaError("Timeout", f"not done after {timeout_s:g} s") from error
        except ConnectionError:
            note = b""
        if not note:
            raise MediaError("Crash", f"the child process ended by {self.end(grace_s=1.0)}")
        answer: tuple[bool, Any] = _take(self._board, note)
        return answer

    def end(self, *, grace_s: float = 0.0) -> str:
        """What ended it: by itself within `grace_s`, or killed now. May be called again."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self._process.kill()
        code = self._process.wait()
        self._line.close()
        self._board.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


# What parent and child hand to each other


def _board(descriptor: int) -> io.FileIO:
    return io.FileIO(descriptor, "r+")


def _pack(value: Any) -> Packed:
    buffers: list[pickle.PickleBuffer] = []
    return pickle.dumps(value, protocol=5, buffer_callback=buffers.append), buffers


def _put(board: io.FileIO, packed: Packed) -> bytes:
    """Write a value over what is on the board; the note tells the other side where it lies."""
    stream, buffers = packed
    end, sizes = 0, []
    for buffer in buffers:
        with buffer.raw() as memory:
            end = _write(board, memory, start=end)
            sizes.append(memory.nbytes)
    envelope = pickle.dumps((stream, sizes))
    _write(board, memoryview(envelope), start=end)
    return _NOTE.pack(end, len(envelope))


def _take(board: io.FileIO, note: bytes) -> Any:
    start, size = _NOTE.unpack(note)
    stream, sizes = pickle.loads(_read(board, start=start, size=size))
    starts = itertools.accumulate(sizes, initial=0)
    buffers = [_read(board, start=at, size=size) for at, size in zip(starts, sizes, strict=False)]
    if start > _KEPT_BYTES:
        board.truncate(0)
    return pickle.loads(stream, buffers=buffers)


def _write(board: io.FileIO, memory: memoryview, *, start: int) -> int:
    """Where it ends. The kernel takes 2 GiB at a time."""
    done = 0
    while done < memory.nbytes:
        done += os.pwrite(board.fileno(), memory[done:], start + done)
    return start + done


def _read(board: io.FileIO, *, start: int, size: int) -> bytes:
    parts = []
    while size > 0:
        parts.append(os.pread(board.fileno(), size, start))
        if not parts[-1]:
            raise EOFError("the memory between parent and child was cut")
        start, size = start + len(parts[-1]), size - len(parts[-1])
    return b"".join(parts)


# What runs in the child


def _serve(line_descriptor: int, board_descriptor: int, *, parent_pid: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it was gone before that
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    av.logging.set_level(av.logging.PANIC)  # FFmpeg's words come back with the error
    board = _board(board_descriptor)
    with socket.socket(fileno=line_descriptor) as line:
        while note := line.recv(_NOTE.size):
            line.send(_BEGUN)
            line.send(_put(board, _answer(board, note)))


def _answer(board: io.FileIO, note: bytes) -> Packed:
    try:
        fn, args, kwargs, max_memory_bytes = _take(board, note)
        _limit_memory(max_memory_bytes)
        return _pack((True, fn(*args, **kwargs)))
    except Exception as error:  # noqa: BLE001  it is the caller's, in another process
        return _pack((False, _portable(error)))


def _limit_memory(max_memory_bytes: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = max_memory_bytes if hard == resource.RLIM_INFINITY else min(max_memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _portable(error: Exception) -> Exception:
    """The error with its traceback as a note; another one where it cannot be pickled."""
    if isinstance(error, MediaError | MemoryError):
        return error
    error.add_note("In the child process:\n" + traceback.format_exc())
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001  whatever its class may do when pickled
        return RuntimeError(traceback.format_exc())
    return error
