"""One night at a time: a lease on a dataset that a second night sees, and a dead one loses.

The lease is a table of at most one row, so that it works wherever tables do. Its holder renews it;
one that has not for a while, or whose process is gone from this machine, has lost it.
"""

from __future__ import annotations

import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pyarrow as pa

from videoproc import schema
from videoproc.tables.table import Table

RENEW_S = 60.0
LOST_AFTER_S = 3 * RENEW_S
POLL_S = 5.0


class HeldError(RuntimeError):
    """Somebody else has the lease; the message says who, where and since when."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who has the lease. machine: where `pid` means something; host: its name for people."""

    holder: str
    job: str
    host: str
    machine: str
    pid: int
    since: str
    renewed_s: float

    def is_alive(self) -> bool:
        if self.machine == _machine() and not psutil.pid_exists(self.pid):
            return False
        return time.time() - self.renewed_s < LOST_AFTER_S

    def __str__(self) -> str:
        return f"{self.job} on {self.host}, process {self.pid}, since {self.since}"


@contextmanager
def hold(
    table: Table, *, job: str, wait_s: float = 0.0, on_wait: Callable[[str], None] = print
) -> Iterator[None]:
    """Have the lease for the length of a `with`.

    wait_s: how long to wait for another to end. on_wait: told once whom it waits for, and what goes
    wrong with the lease itself.
    Errors: HeldError if another has it still.
    """
    me = uuid.uuid4().hex
    deadline, told = time.monotonic() + wait_s, False
    while True:
        try:
            table.update(lambda rows: _taken(rows, me, job))
            break
        except HeldError as error:
            if time.monotonic() >= deadline:
                raise
            if not told:
                on_wait(f"waiting up to {wait_s:.0f} s for {error}")
                told = True
            time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))
    ended = threading.Event()
    renewing = threading.Thread(target=_renew, args=(table, me, ended, on_wait), daemon=True)
    renewing.start()
    try:
        yield
    finally:
        ended.set()
        renewing.join()
        try:
            table.update(lambda rows: _without(rows, me))
        except Exception as error:  # noqa: BLE001 - the work is done, and the lease ends by itself
            on_wait(f"the lease is left to end by itself: {error}")


def _taken(rows: pa.Table, me: str, job: str) -> pa.Table:
    for row in rows.to_pylist():
        other = Holder(**row)
        if other.holder != me and other.is_alive():
            raise HeldError(str(other))
    mine = Holder(
        holder=me,
        job=job,
        host=socket.gethostname(),
        machine=_machine(),
        pid=os.getpid(),
        since=datetime.now(UTC).isoformat(timespec="seconds"),
        renewed_s=time.time(),
    )
    return pa.Table.from_pylist([asdict(mine)], schema=schema.LEASE)


def _renew(table: Table, me: str, ended: threading.Event, say: Callable[[str], None]) -> None:
    while not ended.wait(RENEW_S):
        try:
            table.update(lambda rows: _renewed(rows, me))
        except Exception as error:  # noqa: BLE001 - a store may refuse once; the next may succeed
            say(f"the lease was not renewed: {error}")


def _renewed(rows: pa.Table, me: str) -> pa.Table:
    kept = [
        row | ({"renewed_s": time.time()} if row["holder"] == me else {})
        for row in rows.to_pylist()
    ]
    return pa.Table.from_pylist(kept, schema=schema.LEASE)


def _without(rows: pa.Table, me: str) -> pa.Table:
    return pa.Table.from_pylist(
        [row for row in rows.to_pylist() if row["holder"] != me], schema=schema.LEASE
    )


def _machine() -> str:
    """Where a process number means something: this boot of this machine, in this container."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return socket.gethostname()
