"""A way to a server on loopback that tests can close: refused at the door, or met with silence.

It is a process of its own: some libraries hold Python's lock while they wait for an answer.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

CHUNK_BYTES = 1 << 16
RESET = struct.pack("ii", 1, 0)  # of a socket that lingers for no time: its peer sees a reset


class Gate:
    """Passes connections on to a server, as long as it is open. url: what to reach it at."""

    def __init__(self, server_url: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), server_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = self._answer()

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Connections are cut, and new ones refused: a server that has died."""
        self._tell("refuse")
        try:
            yield
        finally:
            self.open()

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Nothing comes through, and nobody is told: a server that hangs, a network that is cut."""
        self._tell("hold")
        try:
            yield
        finally:
            self.open()

    def open(self) -> None:
        self._tell("open")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        assert self._answer() == word

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def gate_to(server_url: str) -> Iterator[Gate]:
    gate = Gate(server_url)
    try:
        yield gate
    finally:
        gate.close()


# What runs in the process


class Door:
    def __init__(self, server_url: str) -> None:
        server = urlsplit(server_url)
        self._server = (str(server.hostname), int(server.port or 80))
        self._open = threading.Event()
        self._open.set()
        self._ends: set[socket.socket] = set()
        self._door: socket.socket | None = self._listen(0)
        self.port = self._door.getsockname()[1]

    def open(self) -> None:
        self._open.set()
        if self._door is None:
            self._door = self._listen(self.port)

    def hold(self) -> None:
        self._open.clear()

    def refuse(self) -> None:
        assert self._door is not None
        self._door.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept
        self._door.close()
        self._door = None
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.shutdown(socket.SHUT_RDWR)

    def _listen(self, port: int) -> socket.socket:
        door = socket.create_server(("127.0.0.1", port), backlog=128)
        threading.Thread(target=self._let_in, args=(door,), daemon=True).start()
        return door

    def _let_in(self, door: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = door.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            self._open.wait()
            with socket.create_connection(self._server) as server:
                self._ends |= {client, server}
                back = threading.Thread(target=self._pass_on, args=(server, client), daemon=True)
                back.start()
                self._pass_on(client, server)
                back.join()
                self._ends -= {client, server}

    def _pass_on(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while content := source.recv(CHUNK_BYTES):
                self._open.wait()
                target.sendall(content)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def main(server_url: str) -> None:
    door = Door(server_url)
    print(f"http://127.0.0.1:{door.port}", flush=True)
    for line in sys.stdin:
        {"open": door.open, "hold": door.hold, "refuse": door.refuse}[line.strip()]()
        print(line.strip(), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
