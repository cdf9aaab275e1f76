"""Who listens where, as the system tells it."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from contextlib import suppress

import psutil


def listening(processes: Iterable[psutil.Process]) -> set[tuple[str, str, int]]:
    """Process, address and port of every socket that one of the processes listens on."""
    found = set()
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            name = process.name()
            found |= {
                (name, socket.laddr.ip, socket.laddr.port)
                for socket in process.net_connections("inet")
                if socket.status == psutil.CONN_LISTEN
            }
    return found


def is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.removeprefix("::ffff:")).is_loopback
