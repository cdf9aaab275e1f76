"""Calls in a child process that may crash, hang or eat memory, at the cost of that call only.

A child is spawned, never forked, and imports what the called function needs and nothing else.
It leaves by itself when its parent is gone.
"""

from __future__ import annotations

import os
import resource
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import popen_spawn_posix, spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.process import BaseProcess
from queue import LifoQueue
from typing import Any, TypeVar

import av
from pebble import ProcessExpired, ProcessPool

from videoproc.media.errors import MediaError
from videoproc.media.limits import Limits

T = TypeVar("T")
Item = TypeVar("Item")

_ORPHAN_POLL_S = 0.5


class Isolated:
    """`max_workers` children that take calls from any thread of this process.

    Each child has a pool of its own: pebble's workers share pipes and locks within a pool, and
    one that dies at the wrong moment would stall or break its neighbours.
    """

    def __init__(self, *, max_workers: int = 1) -> None:
        if max_workers < 1:
            raise ValueError(f"max_workers is {max_workers}: give 1 or more")
        self._max_workers = max_workers
        # Last in, first out: few calls at a time start few children.
        self._idle: LifoQueue[ProcessPool] = LifoQueue()
        for _ in range(max_workers):
            self._idle.put(_new_pool())

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """End the children; calls still running are waited for."""
        for _ in range(self._max_workers):
            _end(self._idle.get())

    def call(
        self,
        fn: Callable[..., T],
        *args: Any,
        timeout_s: float = Limits.timeout_s,
        max_memory_bytes: int = Limits.max_memory_bytes,
        **kwargs: Any,
    ) -> T:
        """`fn(*args, **kwargs)` in a child; waits for a free one first.

        `fn` must be importable by name from a module other than __main__. Raises MediaError
        "Crash", "Timeout" or "OutOfMemory", or the MediaError that `fn` raised; any other
        exception of `fn` comes through as itself.
        """
        pool = self._idle.get()
        try:
            for _ in range(2):
                # A child that was killed while idle may be noticed only now.
                if not pool.active:
                    _end(pool)
                    pool = _new_pool()
                payload = (fn, args, kwargs, max_memory_bytes)
                try:
                    return pool.schedule(_run, args=payload, timeout=timeout_s).result()
                except BrokenProcessPool:
                    continue
            raise MediaError("Crash", "the child process died at once, twice")
        except ProcessExpired as error:
            raise MediaError("Crash", f"the child process ended by {_cause(error)}") from error
        except TimeoutError as error:
            raise MediaError("Timeout", f"not done after {timeout_s:g} s") from error
        except MemoryError as error:
            raise MediaError(
                "OutOfMemory", f"more than {max_memory_bytes} bytes of memory were asked for"
            ) from error
        finally:
            self._idle.put(pool)

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


def _cause(error: ProcessExpired) -> str:
    code = error.exitcode or 0
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _new_pool() -> ProcessPool:
    return ProcessPool(
        max_workers=1, initializer=_set_up_child, initargs=(os.getpid(),), context=_BareContext()
    )


def _end(pool: ProcessPool) -> None:
    pool.stop()
    pool.join()


# What runs in the child


def _set_up_child(parent_pid: int) -> None:
    av.logging.set_level(av.logging.PANIC)  # its words come back with the error
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    threading.Thread(target=_leave_with_parent, args=(parent_pid,), daemon=True).start()


def _leave_with_parent(parent_pid: int) -> None:
    while os.getppid() == parent_pid:
        time.sleep(_ORPHAN_POLL_S)
    os._exit(1)


def _run(
    fn: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], max_memory_bytes: int
) -> T:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    soft = max_memory_bytes if hard == resource.RLIM_INFINITY else min(max_memory_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
    return fn(*args, **kwargs)


# How the child starts


class _BarePopen(popen_spawn_posix.Popen):
    """Starts a child that does not import its parent's __main__.

    Under Ray or `python -m` that would be the whole stack: seconds and hundreds of megabytes
    for each child. multiprocessing has no setting for it.
    """

    _lock = threading.Lock()

    def _launch(self, process_obj: BaseProcess) -> None:
        launching = threading.get_ident()

        def without_main(name: str) -> dict[str, Any]:
            data = prepare(name)
            if threading.get_ident() == launching:
                data.pop("init_main_from_name", None)
                data.pop("init_main_from_path", None)
            return data

        with self._lock:
            prepare = spawn.get_preparation_data
            spawn.get_preparation_data = without_main
            try:
                super()._launch(process_obj)  # type: ignore[misc]  # absent from typeshed
            finally:
                spawn.get_preparation_data = prepare


class _BareProcess(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> _BarePopen:  # noqa: N802  multiprocessing's hook
        return _BarePopen(process_obj)


class _BareContext(SpawnContext):
    Process = _BareProcess
