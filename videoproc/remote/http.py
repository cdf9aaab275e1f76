"""Objects behind http:// and https://, read by ranges.

Proxies, certificates and passwords come from where `requests` takes them: HTTPS_PROXY,
REQUESTS_CA_BUNDLE, ~/.netrc or the address itself. No message holds an address's query or password.
A server may send its reader on to another address; `within` says where that may lie.
"""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from videoproc.remote.patience import TIMEOUTS_S, TryAgainError, patiently
from videoproc.remote.source import CHUNK_BYTES, CUT, MAX_WHOLE_BYTES, Answer, Source

if TYPE_CHECKING:
    import requests

MAX_WAIT_S = 10.0  # a server that asks for more patience does not get it
MAY_PASS = frozenset({408, 425, 429, 500, 502, 503, 504})
OF_ONE_FILE_S = {500: 4.0}  # a program that fails on a file, most often: not waited for like others
IDENTITY = {"Accept-Encoding": "identity"}  # a range of compressed bytes is of no use

PORTS = {"http": 80, "https": 443}

_own = threading.local()  # a session keeps its connections, and is of one thread


class OutsideRoots(OSError):  # noqa: N818 - the class of error that quarantine names
    """What lies outside the places that videos may lie in."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a server says of a file. stamp: changes when the content does, empty where unsaid."""

    size_bytes: int
    stamp: str
    modified_s: float


def shown(url: str) -> str:
    """The address without password, query and fragment, which may hold secrets."""
    bare = url.partition("#")[0].partition("?")[0]
    scheme, _, rest = bare.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"


def is_below(url: str, root: str) -> bool:
    """Whether an address is that of `root` or of a file below it: the same scheme (or https where
    the root is http), host and port, and a path that begins so. What tools read in different ways,
    such as `..` in whatever spelling, is below nothing."""
    place, top = _place(url), _place(root)
    if place is None or top is None:
        return False
    (origin, path), (top_origin, top_path) = place, top
    secured = (top_origin[0], top_origin[2]) == ("http", 80) and (
        origin == ("https", top_origin[1], 443)
    )
    return (origin == top_origin or secured) and path[: len(top_path)] == top_path


def _place(url: str) -> tuple[tuple[str, str, int], list[str]] | None:
    """Scheme, host and port, then the parts of the path; None where they are not beyond doubt."""
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    path = parts.path
    while (decoded := unquote(path)) != path:
        path = decoded
    names = path.rstrip("/").split("/")
    if not parts.hostname or re.search(r"[\\\x00-\x20\x7f]", parts.netloc) or "\\" in path:
        return None
    if {".", ".."} & {name.partition(";")[0] for name in names}:  # `..;x` is `..` to some
        return None
    return (parts.scheme, parts.hostname.rstrip("."), port), names


def look(url: str, *, within: Sequence[str] = ()) -> Found | None:
    """What a HEAD says, or where that is refused or says no size, a GET of one byte.

    None where there is no such file. Raises OSError.
    """
    name = shown(url)
    return patiently(
        lambda: _look(url, name, within),
        store=_host(name),
        give_up=lambda why: _no_answer(name, why),
    )


class HttpSource(Source):
    """within: addresses below which redirects may lead; without any they may lead anywhere."""

    def __init__(
        self, url: str, *, within: Sequence[str] = (), max_whole_bytes: int = MAX_WHOLE_BYTES
    ) -> None:
        super().__init__(shown(url), max_whole_bytes=max_whole_bytes)
        self._url = url
        self._within = within

    @property
    def _store(self) -> str:
        return _host(self.name)

    def _give_up(self, why: str) -> Exception:
        return _no_answer(self.name, why)

    @contextmanager
    def _ask(self, start: int, stop: int) -> Iterator[Answer]:
        self.num_requests += 1
        wanted = IDENTITY | {"Range": f"bytes={start}-{stop - 1}"}
        with _request("GET", self._url, headers=wanted, within=self._within) as response:
            code = response.status_code
            if code not in (200, 206, 416):
                raise _refusal(self.name, response)
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise OSError(f"{self.name} cannot be read: the server compresses it")
            first, total = _content_range(response)
            if code == 206 and (first != start or total is None):
                raise OSError(f"{self.name} cannot be read: asked for byte {start}, got another")
            yield Answer(
                total_bytes=_length(response) if code == 200 else total or 0,
                tag=_stamp(response),
                chunks=iter(()) if code == 416 else _chunks(response),
                is_whole=code == 200,
            )


def _host(name: str) -> str:
    """The server of an address, which is waited for as one."""
    return name.partition("://")[2].partition("/")[0]


def _no_answer(name: str, why: str) -> OSError:
    # Not a StoreAwayError: of the many servers of a corpus, one that is away costs its own files.
    return OSError(f"{name} cannot be read: {why}")


def _look(url: str, name: str, within: Sequence[str]) -> Found | None:
    # A signed address may be good for GET alone; a server may not know HEAD at all.
    with _request("HEAD", url, headers=IDENTITY, within=within) as response:
        size = _length(response) if response.status_code == 200 else None
        if size is not None:
            return _found(response, size)
    first_byte = IDENTITY | {"Range": "bytes=0-0"}
    with _request("GET", url, headers=first_byte, within=within) as response:
        if response.status_code in (404, 410):
            return None
        if response.status_code not in (200, 206, 416):
            raise _refusal(name, response)
        _, total = _content_range(response)
        size = _length(response) if response.status_code == 200 else total
        if size is None:
            raise OSError(f"{name} cannot be looked at: the server does not say its size")
        return _found(response, size)


def _found(response: requests.Response, size_bytes: int) -> Found:
    try:
        modified = parsedate_to_datetime(response.headers.get("Last-Modified", ""))
        modified_s = modified.timestamp()
    except ValueError:
        modified_s = 0.0
    return Found(size_bytes=size_bytes, stamp=_stamp(response), modified_s=modified_s)


@contextmanager
def _request(
    method: str, url: str, *, headers: dict[str, str], within: Sequence[str]
) -> Iterator[requests.Response]:
    """The answer, its body not yet read. Raises TryAgainError, OSError."""
    import requests
    from urllib3.exceptions import HTTPError

    try:
        response = _session().request(
            method,
            url,
            headers=headers,
            stream=True,
            allow_redirects=True,
            timeout=TIMEOUTS_S,
            hooks={"response": partial(_check_redirect, name=shown(url), within=within)},
        )
    except OutsideRoots:
        raise
    except requests.exceptions.SSLError:
        raise OSError(f"{shown(url)} cannot be read: no secure connection") from None
    except (requests.ConnectionError, requests.Timeout) as error:
        slow = isinstance(error, requests.Timeout)
        raise TryAgainError("no answer in time" if slow else "no connection") from None
    except (requests.RequestException, HTTPError) as error:  # its words may hold the whole address
        raise OSError(f"{shown(url)} cannot be read: {type(error).__name__}") from None
    with response:
        if response.status_code in MAY_PASS:
            limit_s = OF_ONE_FILE_S.get(response.status_code, math.inf)
            raise TryAgainError(_status(response), wait_s=_asked_wait_s(response), limit_s=limit_s)
        yield response


def _check_redirect(
    response: requests.Response, *_: Any, name: str, within: Sequence[str], **__: Any
) -> None:
    """Called for each answer, before what it leads to is asked."""
    if not within or not response.is_redirect:
        return
    target = urljoin(response.url, response.headers["Location"])
    if not any(is_below(target, root) for root in within):
        raise OutsideRoots(
            f"{name} leads to {shown(target)}, outside the roots: give that with --roots of "
            "pipelines.index or pipelines.nightly too, or remove it from the corpus"
        )


def _session() -> requests.Session:
    # A forked process must not share its parent's connections.
    if getattr(_own, "pid", None) != os.getpid():
        import requests

        _own.session, _own.pid = requests.Session(), os.getpid()
    return _own.session


def _chunks(response: requests.Response) -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError

    try:
        while chunk := response.raw.read(CHUNK_BYTES):
            yield chunk
    except (HTTPError, OSError):
        raise TryAgainError(CUT) from None


def _refusal(name: str, response: requests.Response) -> OSError:
    kinds = {401: PermissionError, 403: PermissionError, 404: FileNotFoundError}
    kind = kinds.get(response.status_code, OSError)
    return kind(f"{name} cannot be read: {_status(response)}")


def _status(response: requests.Response) -> str:
    return f"HTTP {response.status_code} {response.reason or ''}".rstrip()


def _stamp(response: requests.Response) -> str:
    for field, name in (("ETag", "etag"), ("Last-Modified", "modified")):
        if value := response.headers.get(field):
            return f"{name}:{value.strip(chr(34))}"
    return ""


def _length(response: requests.Response) -> int | None:
    value = response.headers.get("Content-Length", "")
    return int(value) if value.isdigit() else None


def _content_range(response: requests.Response) -> tuple[int | None, int | None]:
    """The first byte and the whole size, as `bytes 0-99/1234` or `bytes */1234` has them."""
    match = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+)", response.headers.get("Content-Range", ""))
    if match is None:
        return None, None
    return (None if match[1] is None else int(match[1])), int(match[2])


def _asked_wait_s(response: requests.Response) -> float:
    value = response.headers.get("Retry-After", "")
    return min(MAX_WAIT_S, float(value)) if value.isdigit() else 0.0
