"""Calls in a child process that may crash, hang or eat memory, at the cost of that call only.

A child is started anew, never forked, and imports what the called function needs and nothing else.
The kernel ends it together with its parent, however that ends. The two share a socket and nothing
that has a name: nothing stays behind.
"""

from __future__ import annotations

import ctypes
import gc
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
from pathlib import Path
from queue import LifoQueue
from typing import Any, TypeVar

import av

from videoproc.media.errors import MediaError
from videoproc.media.limits import Limits
from videoproc.remote import StoreAwayError
from videoproc.types import UserError

T = TypeVar("T")
Item = TypeVar("Item")
Packed = tuple[bytes, list[pickle.PickleBuffer]]
"""A pickled value, and the memory of its arrays, which is not copied into it."""

Request = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], int]
"""Function, arguments, keyword arguments, max_memory_bytes."""

_START_S = 60.0  # for a child to start on a crowded machine, and to take a call
_AGES_S = 1e9
_SOCKET_BYTES = 1 << 20  # a large result crosses in few turns
_GROWTH_BYTES = 256 << 20  # a child that has grown by so much between calls leaves
_LENGTH = struct.Struct("=Q")
_TIMEVAL = struct.Struct("@ll")
_BEGUN = b"b"
_PR_SET_PDEATHSIG = 1
# A child has one thread at work. Threads of OpenBLAS and OpenMP that wait would take its time, and
# for each of a decoder's malloc would set 64 MiB of addresses aside, until none are left.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1"}


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
        `fn` comes through as itself. A call whose child somebody has killed is made once more.
        """
        is_result, value = self._ask((fn, args, kwargs, max_memory_bytes), timeout_s=timeout_s)
        if not is_result:
            raise value
        result: T = value
        return result

    def outcome(
        self, fn: Callable[..., T], *args: Any, limits: Limits, **kwargs: Any
    ) -> T | MediaError:
        """What `fn`, which reads one file, comes to in a child: its result, or why there is none.

        A broken file may lead any code anywhere. So whatever `fn` raises is taken for an error of
        this file, under the name of its class and with its traceback; a UserError is not, nor is
        a StoreAwayError.
        """
        request = (fn, args, kwargs, limits.max_memory_bytes)
        try:
            is_result, value = self._ask(request, timeout_s=limits.timeout_s)
        except MediaError as error:
            return error
        if is_result or isinstance(value, MediaError):
            outcome: T | MediaError = value
            return outcome
        if isinstance(value, UserError | StoreAwayError):
            raise value
        notes = getattr(value, "__notes__", [])
        return MediaError(type(value).__name__, "\n".join([str(value), *notes]))

    def _ask(self, request: Request, *, timeout_s: float) -> tuple[bool, Any]:
        """(True, the result) or (False, the exception). Raises MediaError as `call` does."""
        try:
            return self._ask_once(request, timeout_s=timeout_s)
        except _KilledError:  # what a file does to its reader has other signals
            return self._ask_once(request, timeout_s=timeout_s)

    def _ask_once(self, request: Request, *, timeout_s: float) -> tuple[bool, Any]:
        packed = _pack(request)
        kept, child = None, self._idle.get()
        try:
            child = self._begin(child, packed)
            is_result, value = child.answer(timeout_s=timeout_s)
            # A child that ran out of memory may hold what the next call would miss.
            kept = None if _is_out_of_memory(value) else child
        finally:
            if kept is None and child is not None:
                child.end()
            self._idle.put(kept)
        if isinstance(value, MemoryError):
            most_bytes = request[-1]
            raise MediaError(
                "OutOfMemory", f"more than {most_bytes} bytes of memory were asked for"
            ) from value
        return is_result, value

    def _begin(self, child: _Child | None, request: Packed) -> _Child:
        """The child that has taken the request: another one where this one left while idle."""
        for _ in range(3):
            child = child or self._starter.submit(_Child).result()
            if child.begin(request):
                return child
            cause, child = child.end(), None
        raise RuntimeError(f"no child process starts; the last one ended by {cause}")

    def map(
        self, fn: Callable[[Item], T], items: Iterable[Item], *, limits: Limits | None = None
    ) -> Iterator[tuple[Item, T | MediaError]]:
        """(item, outcome of fn(item)), in the order of `items`.

        All children work at once; `items` is read only a little ahead of what is yielded.
        """
        limits = limits or Limits()

        def outcome(item: Item) -> T | MediaError:
            return self.outcome(fn, item, limits=limits)

        with ThreadPoolExecutor(self._max_workers) as threads:
            ahead: deque[tuple[Item, Future[T | MediaError]]] = deque()
            try:
                for item in items:
                    ahead.append((item, threads.submit(outcome, item)))
                    if len(ahead) > 4 * self._max_workers:
                        yield _finished(*ahead.popleft())
                while ahead:
                    yield _finished(*ahead.popleft())
            finally:  # whoever reads no further waits for the calls at work alone
                threads.shutdown(wait=False, cancel_futures=True)


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


def _is_out_of_memory(value: Any) -> bool:
    """Python says it in one way, FFmpeg in another."""
    if isinstance(value, MediaError):
        return value.error_class == "OutOfMemory"
    return isinstance(value, MemoryError)


def _finished(item: Item, future: Future[T]) -> tuple[Item, T]:
    return item, future.result()


class _KilledError(MediaError):
    """Somebody has ended the child: an operator, a node that ran out of memory."""


class _Child:
    """A process that answers one call after the other, as its parent sees it."""

    def __init__(self) -> None:
        self._line, theirs = socket.socketpair()
        with theirs:
            # Nothing of the parent's __main__: under Ray that would be the whole stack, seconds
            # and hundreds of megabytes for each child.
            program = (
                f"import sys; sys.path[:] = {sys.path!r}; from videoproc.media import isolate; "
                f"isolate._serve({theirs.fileno()}, parent_pid={os.getpid()})"
            )
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=os.environ | _ONE_THREAD,
            )

    def begin(self, request: Packed) -> bool:
        """Hand a call over; False where the child is not there to take it."""
        try:
            _wait_at_most(self._line, seconds=_START_S)
            _send(self._line, request)
            return self._line.recv(len(_BEGUN)) == _BEGUN
        except OSError:
            return False

    def answer(self, *, timeout_s: float) -> tuple[bool, Any]:
        """(True, the result) or (False, the exception) of the call.

        Raises MediaError "Crash" or "Timeout".
        """
        try:
            _wait_at_most(self._line, seconds=timeout_s)
            answer = _receive(self._line)
        except BlockingIOError as error:
            raise MediaError("Timeout", f"not done after {timeout_s:g} s") from error
        except (EOFError, ConnectionError) as error:
            cause = self.end(grace_s=1.0)
            kind = _KilledError if cause == signal.SIGKILL.name else MediaError
            raise kind("Crash", f"the child process ended by {cause}") from error
        is_result, value = _unpack(*answer)
        return is_result, value

    def end(self, *, grace_s: float = 0.0) -> str:
        """What ended it: by itself within `grace_s`, or killed now. May be called again."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(grace_s)
        self._process.kill()
        code = self._process.wait()
        self._line.close()
        return signal.Signals(-code).name if code < 0 else f"exit code {code}"


# What parent and child say to each other


def _wait_at_most(line: socket.socket, *, seconds: float) -> None:
    """The kernel's timeout, not Python's, which would receive a large result piece by piece."""
    microseconds = max(1, int(min(seconds, _AGES_S) * 1e6))
    timeval = _TIMEVAL.pack(*divmod(microseconds, 1_000_000))
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


def _pack(value: Any) -> Packed:
    buffers: list[pickle.PickleBuffer] = []
    return pickle.dumps(value, protocol=5, buffer_callback=buffers.append), buffers


def _send(line: socket.socket, packed: Packed) -> None:
    stream, buffers = packed
    memories = [buffer.raw() for buffer in buffers]
    head = pickle.dumps((stream, [memory.nbytes for memory in memories]))
    line.sendall(_LENGTH.pack(len(head)) + head)
    for memory in memories:
        line.sendall(memory)


def _receive(line: socket.socket) -> tuple[bytes, list[bytes]]:
    """Raises EOFError where the other side is gone, BlockingIOError where it takes too long."""
    (length,) = _LENGTH.unpack(_receive_bytes(line, _LENGTH.size))
    stream, sizes = pickle.loads(_receive_bytes(line, length))
    return stream, [_receive_bytes(line, size) for size in sizes]


def _unpack(stream: bytes, buffers: list[bytes]) -> Any:
    return pickle.loads(stream, buffers=buffers)


def _receive_bytes(line: socket.socket, size: int) -> bytes:
    parts = []
    while size > 0:  # in one turn, but for a signal, or more than 2 GiB
        parts.append(line.recv(size, socket.MSG_WAITALL))
        if not parts[-1]:
            raise EOFError
        size -= len(parts[-1])
    return b"".join(parts)


# What runs in the child


def _serve(descriptor: int, *, parent_pid: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # it was gone before that
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    av.logging.set_level(av.logging.PANIC)  # FFmpeg's words come back with the error
    with socket.socket(fileno=descriptor) as line, suppress(EOFError, ConnectionError):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
        most_bytes = _address_bytes() + _GROWTH_BYTES
        while _address_bytes() < most_bytes or _tidied_bytes() < most_bytes:
            request = _receive(line)
            line.sendall(_BEGUN)
            _send(line, _answer(*request))


def _address_bytes() -> int:
    """What counts against max_memory_bytes."""
    pages = Path("/proc/self/statm").read_text().split()[0]
    return int(pages) * resource.getpagesize()


def _tidied_bytes() -> int:
    """Those left without what Python has not collected yet, and what malloc keeps for later."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return _address_bytes()


def _answer(stream: bytes, buffers: list[bytes]) -> Packed:
    try:
        fn, args, kwargs, max_memory_bytes = _unpack(stream, buffers)
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
