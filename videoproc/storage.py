"""Files and folders here and in object stores, by one set of words: those of pathlib.

A local place is a `pathlib.Path`; an `s3://` or `gs://` one is a `RemotePath`, which knows the part
of pathlib that the pipeline uses. Credentials and endpoint come from the environment alone
(AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_DEFAULT_REGION, AWS_ENDPOINT_URL). A file behind
`http://` or `https://` is an `HttpPath`: it is read, never written, and has no folder to list.
"""

from __future__ import annotations

import functools
import io
import os
import posixpath
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast
from urllib.parse import quote, unquote, urlsplit

from videoproc.remote import ArrowSource, HttpSource, RangeFile, S3Source, http
from videoproc.remote import StoreAwayError as StoreAwayError
from videoproc.remote.patience import TIMEOUTS_S, in_object_store
from videoproc.remote.patience import in_one_line as in_one_line
from videoproc.remote.patience import patience_s as patience_s
from videoproc.remote.s3 import STORE_REFUSES as STORE_REFUSES
from videoproc.remote.s3 import boto_client, boto_errors
from videoproc.types import UserError

SCHEMES = ("s3", "gs")
HTTP_SCHEMES = ("http", "https")

GOOGLES_OWN_S = 2.0  # for which its client tries again by itself

T = TypeVar("T")


@dataclass(frozen=True, order=True)
class RemotePath:
    """A place in an object store. Folders are prefixes: they are there when a file is below."""

    uri: str

    def __post_init__(self) -> None:
        if not re.fullmatch(rf"({'|'.join(SCHEMES)})://[^/]+(/[^/]+)*/?", self.uri):
            raise UserError(f"{self.uri!r} is no place: use a path, or s3://bucket/folder/file")

    def __str__(self) -> str:
        return self.uri

    def __fspath__(self) -> str:
        raise TypeError(f"{self.uri} is not on this machine")

    def __truediv__(self, name: str | Path) -> RemotePath:
        return RemotePath(f"{self.uri.rstrip('/')}/{name}")

    @property
    def name(self) -> str:
        return posixpath.basename(self.key)

    @property
    def suffix(self) -> str:
        return posixpath.splitext(self.key)[1]

    @property
    def parent(self) -> RemotePath:
        return RemotePath(self.uri.rstrip("/").rpartition("/")[0])

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.key.split("/"))

    @property
    def key(self) -> str:
        """bucket/folder/file, as pyarrow names it."""
        return self.uri.partition("://")[2].rstrip("/")

    def relative_to(self, other: RemotePath) -> Path:
        return Path(self.key).relative_to(other.key)

    def absolute(self) -> RemotePath:
        return self

    resolve = absolute

    def exists(self) -> bool:
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        return bool(_info(self).is_file)

    def is_dir(self) -> bool:
        from pyarrow.fs import FileType

        return bool(_info(self).type == FileType.Directory)

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> None:
        """Nothing to do: a prefix is there as soon as a file is."""

    def open(self, mode: str = "r", *, encoding: str = "utf-8", newline: str | None = None) -> Any:
        """For reading, seekable, in ranges."""
        binary = io.BufferedReader(open_ranges(self))
        if "b" in mode:
            return binary
        return io.TextIOWrapper(binary, encoding=encoding, newline=newline)

    def read_bytes(self) -> bytes:
        def read() -> bytes:
            with _store(self).open_input_file(self.key) as file:
                return bytes(file.readall())

        return patient(self, read)

    def read_text(self) -> str:
        return self.read_bytes().decode()

    def write_bytes(self, content: bytes | memoryview) -> None:
        def write() -> None:
            with _store(self).open_output_stream(self.key) as file:
                file.write(content)

        patient(self, write)

    def unlink(self, *, missing_ok: bool = False) -> None:
        try:
            patient(self, lambda: _store(self).delete_file(self.key))
        except FileNotFoundError:
            if not missing_ok:
                raise


@dataclass(frozen=True, order=True)
class HttpPath(RemotePath):
    """A file that a web server gives out. Its address is taken as it is, percent signs and all.

    within: addresses below which the server may lead its reader on; without any, anywhere.
    """

    within: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def __post_init__(self) -> None:
        try:
            is_address = bool(urlsplit(self.uri).hostname)
        except ValueError:  # a bracket without its other
            is_address = False
        if not is_address:
            raise UserError(f"{http.shown(self.uri)!r} is no address: use https://host/folder/file")

    def __truediv__(self, name: str | Path) -> HttpPath:
        """The file called `name`, which is not encoded yet, in the folder that this one is."""
        parts = urlsplit(self.uri)
        path = f"{parts.path.rstrip('/')}/{quote(str(name))}"
        return replace(self, uri=parts._replace(path=path, query="", fragment="").geturl())

    @property
    def parent(self) -> HttpPath:
        parts = urlsplit(self.uri)
        path = parts.path.rstrip("/").rpartition("/")[0]
        return replace(self, uri=parts._replace(path=path, query="", fragment="").geturl())

    @property
    def key(self) -> str:
        """host/folder/file, decoded."""
        parts = urlsplit(self.uri)
        return f"{parts.netloc.rpartition('@')[2]}{unquote(parts.path)}".rstrip("/")

    def is_file(self) -> bool:
        return look(self) is not None

    def is_dir(self) -> bool:
        return False

    def mkdir(self, *, parents: bool = False, exist_ok: bool = False) -> NoReturn:  # noqa: ARG002
        _refuse_to_write(self)

    def open(self, mode: str = "r", *, encoding: str = "utf-8", newline: str | None = None) -> Any:
        if set(mode) & set("wax+"):
            _refuse_to_write(self)
        return super().open(mode, encoding=encoding, newline=newline)

    def read_bytes(self) -> bytes:
        with open_ranges(self) as file:
            return file.readall()

    def write_bytes(self, content: bytes | memoryview) -> NoReturn:  # noqa: ARG002
        _refuse_to_write(self)

    def unlink(self, *, missing_ok: bool = False) -> NoReturn:  # noqa: ARG002
        _refuse_to_write(self)


def _refuse_to_write(place: HttpPath) -> NoReturn:
    raise UserError(
        f"{http.shown(place.uri)} can only be read: name a path or a place in an object store"
    )


Anywhere = Path | RemotePath


def at(text: str | Path | RemotePath) -> Anywhere:
    """The place that `text` names: a path of this machine, or one in an object store."""
    if isinstance(text, RemotePath):
        return text
    scheme, separator, _ = str(text).partition("://")
    if not separator or isinstance(text, Path):
        return Path(text)
    if scheme == "file":
        return Path(str(text).removeprefix("file://"))
    if scheme in HTTP_SCHEMES:
        return HttpPath(str(text))
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in (*SCHEMES, *HTTP_SCHEMES))
        raise UserError(f"{text!r} is in no store that is known: use a path, {known}")
    return RemotePath(str(text).rstrip("/"))


def most_waiting_s(uris: Iterable[str]) -> float:
    """For how long whoever reads some files may wait for a store: not at all if all are here."""
    remote = (*SCHEMES, *HTTP_SCHEMES)
    return patience_s() if any(uri.partition("://")[0] in remote for uri in uris) else 0.0


def shown(place: Anywhere) -> str:
    """The name of a place for messages: without the query and password of a web address."""
    return http.shown(place.uri) if isinstance(place, HttpPath) else str(place)


def open_ranges(place: RemotePath) -> RangeFile:
    """The file at a remote place, of which only what is read is fetched.

    Raises OSError, StoreAwayError.
    """
    if isinstance(place, HttpPath):
        return RangeFile(HttpSource(place.uri, within=place.within))
    if place.uri.startswith("s3://"):
        bucket, _, key = place.key.partition("/")
        return RangeFile(S3Source(bucket, key))
    opened = patient(place, lambda: _store(place).open_input_file(place.key))
    return RangeFile(ArrowSource(opened, name=place.uri))


def patient(place: Anywhere, attempt: Callable[[], T]) -> T:
    """What `attempt` returns, which reads or writes at `place` through a library (pyarrow,
    deltalake, boto3): where that is in an object store that does not answer, it is tried again for
    as long as `videoproc.remote.patience` says.

    Raises StoreAwayError then, and at once whatever else the library does.
    """
    return attempt() if isinstance(place, Path) else in_object_store(place, attempt)


def filesystem(place: Anywhere) -> Any:
    """The pyarrow filesystem of a place; None for this machine's own, as pyarrow has it."""
    return None if isinstance(place, Path) else _store(place)


def native(place: Anywhere) -> str:
    """The name under which `filesystem(place)` knows a place."""
    return str(place) if isinstance(place, Path) else place.key


def delta_options(place: Anywhere) -> dict[str, str]:
    """What deltalake must know beside the environment. It is for `patient` to try again."""
    if isinstance(place, Path):
        return {}
    connect_s, read_s = TIMEOUTS_S
    options = {
        "connect_timeout": f"{connect_s:.0f}s",
        "timeout": f"{read_s:.0f}s",
        "max_retries": "0",
    }
    endpoint = os.environ.get("AWS_ENDPOINT_URL", "")
    return options | ({"AWS_ALLOW_HTTP": "true"} if endpoint.startswith("http://") else {})


def size_bytes(file: Anywhere) -> int | None:
    """The size of a file; None where there is none."""
    if isinstance(file, Path):
        return file.stat().st_size if file.is_file() else None
    if isinstance(file, HttpPath):
        found = look(file)
        return None if found is None else found.size_bytes
    info = _info(file)
    return int(info.size) if info.is_file else None


def write_whole(file: Anywhere, content: bytes | memoryview) -> None:
    """Put a file in place whole or not at all, over what is there; it outlives a power cut.

    On this machine: under a temporary name, then renamed. In an object store: one put.
    """
    if isinstance(file, RemotePath):
        file.write_bytes(content)
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.parent / f".{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as target:
            target.write(content)
            target.flush()
            os.fsync(target.fileno())
        temporary.rename(file)
    finally:
        temporary.unlink(missing_ok=True)  # a full disk must not fill up further
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(frozen=True, kw_only=True)
class File:
    """A file as a listing knows it, unread. stamp: changes when the content does, as far as one
    can tell without reading: the time of the last change, or an object store's etag."""

    path: Anywhere
    size_bytes: int
    stamp: str
    modified_s: float


def files_below(folder: Anywhere) -> Iterator[File]:
    """Every file below a folder, in the order of names; none where there is no such folder."""
    if isinstance(folder, Path):
        for path in sorted(cast(Iterator[Path], names_below(folder))):
            if (found := look(path)) is not None:  # else it has just been renamed or deleted
                yield found
        return
    if folder.uri.startswith("s3://"):
        yield from _s3_files(folder)
        return
    from pyarrow.fs import FileSelector

    below = FileSelector(folder.key, recursive=True, allow_not_found=True)
    found = patient(folder, lambda: _store(folder).get_file_info(below))
    scheme = folder.uri.partition("://")[0]
    for info in sorted((info for info in found if info.is_file), key=lambda info: info.path):
        yield File(
            path=RemotePath(f"{scheme}://{info.path}"),
            size_bytes=info.size,
            stamp=f"mtime:{info.mtime_ns}",
            modified_s=info.mtime_ns / 1e9,
        )


def names_below(folder: Anywhere) -> Iterator[Anywhere]:
    """The files below a folder, in no order; linked folders are not entered."""
    if isinstance(folder, Path):
        for root, _, names in os.walk(folder):
            yield from (Path(root, name) for name in names)
    else:
        yield from (file.path for file in files_below(folder))


def refuse_devices(file: Anywhere) -> None:
    """Raises OSError for what may keep its reader forever, as a named pipe does."""
    if isinstance(file, Path) and file.exists() and not (file.is_file() or file.is_dir()):
        raise OSError(f"{str(file)!r} is a pipe, a socket or a device: give a file")


def look(file: Anywhere) -> File | None:
    """What a listing would say of one file; None where there is none."""
    if isinstance(file, Path):
        try:
            return _local_file(file) if file.is_file() else None
        except FileNotFoundError:
            return None
    if isinstance(file, HttpPath):
        return _http_file(file)
    if file.uri.startswith("s3://"):
        return _s3_file(file)
    info = _info(file)
    if not info.is_file:
        return None
    stamp = f"mtime:{info.mtime_ns}"
    return File(path=file, size_bytes=info.size, stamp=stamp, modified_s=info.mtime_ns / 1e9)


def delete_folder(folder: Anywhere) -> None:
    """A folder and all below it; nothing where there is none."""
    if isinstance(folder, Path):
        shutil.rmtree(folder, ignore_errors=True)
        return
    for file in files_below(folder):
        file.path.unlink(missing_ok=True)


def upload_folder(source: Path, target: Anywhere, *, last: str) -> None:
    """Copy a folder's files; `last` goes last, so that where it is, the others are too."""
    names = sorted((path.name for path in source.iterdir()), key=lambda name: (name == last, name))
    for name in names:
        write_whole(target / name, (source / name).read_bytes())


@contextmanager
def local_folder(folder: Anywhere) -> Iterator[Path]:
    """A folder as one of this machine: itself, or a copy of a remote one's files while in use."""
    if isinstance(folder, Path):
        yield folder
        return
    with tempfile.TemporaryDirectory() as copy:
        for file in files_below(folder):
            place = Path(copy) / file.path.relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(file.path.read_bytes())
        yield Path(copy)


def _local_file(path: Path) -> File:
    found = path.stat()
    return File(
        path=path,
        size_bytes=found.st_size,
        stamp=f"mtime:{found.st_mtime_ns}",
        modified_s=found.st_mtime,
    )


def _http_file(path: HttpPath) -> File | None:
    found = http.look(path.uri, within=path.within)
    if found is None:
        return None
    return File(
        path=path, size_bytes=found.size_bytes, stamp=found.stamp, modified_s=found.modified_s
    )


# pyarrow lists no etags, and S3's times have whole seconds: so boto3 lists and looks.
def _s3_files(folder: RemotePath) -> Iterator[File]:
    bucket, _, prefix = folder.key.partition("/")
    below = f"{prefix}/" if prefix else ""
    wanted = {"Bucket": bucket, "Prefix": below}
    while True:
        page = _asked(folder, lambda: boto_client().list_objects_v2(**wanted))
        for item in page.get("Contents", ()):
            if not item["Key"].endswith("/"):
                path = RemotePath(f"s3://{bucket}/{item['Key']}")
                yield _described(path, item, size_bytes=item["Size"])
        if not page.get("IsTruncated"):
            return
        wanted["ContinuationToken"] = page["NextContinuationToken"]


def _s3_file(file: RemotePath) -> File | None:
    bucket, _, key = file.key.partition("/")
    try:
        found = _asked(file, lambda: boto_client().head_object(Bucket=bucket, Key=key))
    except FileNotFoundError:
        return None
    return _described(file, found, size_bytes=found["ContentLength"])


def _asked(place: RemotePath, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    def once() -> dict[str, Any]:
        with boto_errors(place):
            return ask()

    return patient(place, once)


def _described(path: RemotePath, item: Mapping[str, Any], *, size_bytes: int) -> File:
    return File(
        path=path,
        size_bytes=size_bytes,
        stamp="etag:" + item["ETag"].strip('"'),
        modified_s=item["LastModified"].timestamp(),
    )


def _info(file: RemotePath) -> Any:
    """What pyarrow knows of a place."""
    return patient(file, lambda: _store(file).get_file_info(file.key))


def _store(place: RemotePath) -> Any:
    if isinstance(place, HttpPath):
        raise UserError(
            f"{http.shown(place.uri)} is a file of a web server, which lists no folder and keeps "
            "no table: name a path or a place in an object store"
        )
    scheme = place.uri.partition("://")[0]
    return _make_store(scheme, os.environ.get("AWS_ENDPOINT_URL"))


@functools.cache
def _make_store(scheme: str, endpoint: str | None) -> Any:
    from pyarrow import fs

    if scheme == "gs":
        # It is for `patient`; without any time of its own it would not even ask once.
        return fs.GcsFileSystem(retry_time_limit=timedelta(seconds=GOOGLES_OWN_S))
    connect_s, read_s = TIMEOUTS_S
    return fs.S3FileSystem(
        endpoint_override=endpoint,
        # Opened late, a small file is one request, which is there whole or not at all.
        allow_delayed_open=True,
        connect_timeout=connect_s,
        request_timeout=read_s,
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),  # it is for `patient`
    )
