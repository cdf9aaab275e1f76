"""One file's bytes and header. Runs in a child process, so it imports little."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from videoproc import storage
from videoproc.media import Header, Limits, MediaError, probe
from videoproc.roots import Roots
from videoproc.storage import Anywhere
from videoproc.types import UserError

EXAMINE_VERSION = 2  # raise it when the same bytes come to another header


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a file turned out to be: either `header` or `error` is given.

    digest: SHA-256 in hex, of the bytes; of the uri where the bytes cannot be read.
    """

    digest: str
    size_bytes: int
    header: Header | None = None
    error: str | None = None


def examine(uri: str, *, limits: Limits | None = None, roots: Roots | None = None) -> Finding:
    """The digest and header of the file at `uri`; whatever is wrong with it is in the answer."""
    finding = fingerprint(uri, roots=roots)
    if finding.error is not None:
        return finding
    try:
        return replace(finding, header=probe(find(uri, roots), limits=limits))
    except MediaError as error:
        return replace(finding, error=str(error))
    except OSError as error:  # it has come to lie outside the roots meanwhile
        return unread(uri, error=f"{type(error).__name__}: {error}")


def find(uri: str, roots: Roots | None) -> Anywhere:
    """The place that `uri` names; where there are roots, only one below them."""
    return storage.at(uri) if roots is None else roots.find(uri)


def fingerprint(uri: str, *, roots: Roots | None = None) -> Finding:
    """The digest alone, with an error if the bytes cannot be read."""
    try:
        place = find(uri, roots)
        storage.refuse_devices(place)
        with place.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return Finding(digest=digest, size_bytes=file.tell())
    except (OSError, UserError) as error:
        return unread(uri, error=f"{type(error).__name__}: {error}")


def unread(uri: str, *, error: str) -> Finding:
    """What there is to say of a file whose bytes cannot be read."""
    return Finding(digest=hashlib.sha256(uri.encode()).hexdigest(), size_bytes=0, error=error)
