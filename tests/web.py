"""A web server on loopback that gives out bytes by ranges, and behaves badly when told to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Web:
    """What the server has and does. files: by path, as in an address.

    fail: the next answers' status codes. cuts: so many of the next bodies break off in the middle.
    asked: (method, path, range) of each request. connections: how many were opened, and are.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    tag: str = '"1"'
    ignores_ranges: bool = False
    refuses_head: bool = False
    fail: list[int] = field(default_factory=list)
    cuts: int = 0
    most_bytes: int = 1 << 30
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    authorizations: list[str | None] = field(default_factory=list)
    opened: int = 0
    open_now: int = 0

    def put(self, path: str, content: bytes) -> str:
        """The address of a new file."""
        self.files[path] = content
        return f"{self.address}{path}"


class _WebHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    web: Web

    def setup(self) -> None:
        super().setup()
        self.web.opened += 1
        self.web.open_now += 1

    def finish(self) -> None:
        self.web.open_now -= 1
        super().finish()

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path, wanted = urlsplit(self.path).path, self.headers.get("Range")
        self.web.asked.append((self.command, self.path, wanted))
        self.web.authorizations.append(self.headers.get("Authorization"))
        if self.web.fail:
            self._answer(self.web.fail.pop(0), b"no")
        elif self.command == "HEAD" and self.web.refuses_head:
            self._answer(403, b"")
        elif path.startswith("/moved"):
            self._answer(302, b"", Location=path.removeprefix("/moved"))
        elif (content := self.web.files.get(path)) is None:
            self._answer(404, b"")
        elif wanted is None or self.web.ignores_ranges:
            self._answer(200, content)
        else:
            self._answer_range(content, wanted)

    def _answer_range(self, content: bytes, wanted: str) -> None:
        first, last = (int(text) for text in wanted.removeprefix("bytes=").split("-"))
        part, size = content[first : last + 1][: self.web.most_bytes], len(content)
        if part:
            span = f"bytes {first}-{first + len(part) - 1}/{size}"
            self._answer(206, part, **{"Content-Range": span})
        else:
            self._answer(416, b"", **{"Content-Range": f"bytes */{size}"})

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        lasting = {"ETag": self.web.tag, "Last-Modified": "Sat, 21 Nov 2026 10:00:00 GMT"}
        for name, value in (lasting | headers | {"Content-Length": str(len(body))}).items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.web.cuts and len(body) > 1:
            self.web.cuts -= 1
            body, self.close_connection = body[: len(body) // 2], True
        self.wfile.write(body)


@contextmanager
def serve() -> Iterator[Web]:
    web = Web()
    handler = type("Handler", (_WebHandler,), {"web": web})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        server.block_on_close = False
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        web.address = f"http://127.0.0.1:{server.server_port}"
        yield web
        server.shutdown()
