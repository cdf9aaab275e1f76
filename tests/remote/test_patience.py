"""A store that is away is waited for, whoever reads or writes; one that refuses is not."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from werkzeug.serving import generate_adhoc_ssl_context

from tests.gate import Gate, gate_to
from tests.web import Web
from videoproc import storage
from videoproc.remote import StoreAwayError, patience
from videoproc.storage import RemotePath, at
from videoproc.tables import Table, write_shard
from videoproc.tables.clip_reader import read_footer
from videoproc.types import UserError

CONTENT = bytes(range(256)) * 4096
SCHEMA = pa.schema([("id", pa.string()), ("value", pa.int64())])
AWAY_S = 0.7


@pytest.fixture
def gate(s3_endpoint: str, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:  # noqa: ARG001
    with gate_to(s3_endpoint) as gate:
        monkeypatch.setenv("AWS_ENDPOINT_URL", gate.url)
        yield gate


@pytest.fixture
def place(gate: Gate, bucket: str) -> RemotePath:  # noqa: ARG001
    """A folder in a bucket behind the gate, with a file in it."""
    folder = at(bucket) / "folder"
    assert isinstance(folder, RemotePath)
    storage.write_whole(folder / "file", CONTENT)
    return folder


def table_in(place: RemotePath) -> Table:
    return Table(folder=place / "table", schema=SCHEMA, key=("id",))


def rows(*ids: str) -> list[dict[str, Any]]:
    return [{"id": name, "value": 1} for name in ids]


def read_on(place: RemotePath) -> int:
    with storage.open_ranges(place / "file") as file:
        return len(file.read())


OPERATIONS: dict[str, Callable[[RemotePath], Any]] = {
    "look": lambda place: storage.look(place / "file"),
    "list": lambda place: list(storage.files_below(place)),
    "is there": lambda place: ((place / "file").is_file(), (place / "none").exists()),
    "read": lambda place: (place / "file").read_bytes(),
    "read ranges": read_on,
    "write": lambda place: storage.write_whole(place / "new", CONTENT),
    "delete": lambda place: (place / "none").unlink(missing_ok=True),
    "commit": lambda place: table_in(place).append_rows(rows("b")),
    "read table": lambda place: table_in(place).read().num_rows,
    "read footer": lambda place: read_footer(table_in(place).files()[0]).num_rows,
    "no table": lambda place: table_in(place / "other").exists,
    "history": lambda place: len(list(table_in(place).history())),
}


@pytest.mark.parametrize("operation", OPERATIONS)
def test_while_a_server_is_down_it_is_asked_again(
    gate: Gate, place: RemotePath, operation: str
) -> None:
    table_in(place).append_rows(rows("a"))
    wanted = None if operation == "commit" else OPERATIONS[operation](place)
    read_footer.cache_clear()
    with gate.refusing():
        ends = threading.Event()
        made = in_thread(lambda: OPERATIONS[operation](place), ends)
        assert not ends.wait(AWAY_S), "it waits"
    assert ends.wait(60)
    assert made == [1 if operation == "commit" else wanted]


def in_thread(work: Callable[[], Any], ends: threading.Event) -> list[Any]:
    made: list[Any] = []

    def run() -> None:
        try:
            made.append(work())
        except BaseException as error:  # noqa: BLE001 - shown by the test
            made.append(error)
        ends.set()

    threading.Thread(target=run, daemon=True).start()
    return made


def test_patience_ends_in_one_line_that_names_the_place_and_then_nobody_waits_again(
    gate: Gate, place: RemotePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(patience.SETTING, "1")
    table_in(place).append_rows(rows("a"))
    with gate.refusing():
        for name, operation in OPERATIONS.items():
            read_footer.cache_clear()
            with pytest.raises(StoreAwayError) as raised:
                operation(place)
            said = str(raised.value)
            assert "the object store does not answer for s3://bucket" in said, name
            assert "\n" not in said
    assert table_in(place).read().num_rows == 1


def test_a_commit_whose_answer_was_lost_is_counted_once(place: RemotePath) -> None:
    table = table_in(place)
    table.append_rows(rows("a"))
    real, lost = storage.patient, []

    def lose_the_first_answer(place: Any, attempt: Callable[[], Any]) -> Any:
        made = real(place, attempt)
        if "_write_to_log" in attempt.__qualname__ and not lost:
            lost.append(1)
            made = real(place, attempt)  # as after a cut connection
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "patient", lose_the_first_answer)
        assert table.append_rows(rows("b", "c")) == 2
    assert lost == [1]
    assert sorted(table.read()["id"].to_pylist()) == ["a", "b", "c"]
    assert table.keys() == {"a", "b", "c"}


def test_what_is_not_there_or_forbidden_is_not_asked_for_again(place: RemotePath) -> None:
    started = time.monotonic()
    with pytest.raises(FileNotFoundError):
        (place / "none").read_bytes()
    with pytest.raises(FileNotFoundError):
        storage.open_ranges(place / "none")
    with pytest.raises(OSError, match="no-such-bucket"):
        list(storage.files_below(at("s3://no-such-bucket/a")))
    assert storage.look(place / "none") is None
    assert time.monotonic() - started < patience.PATIENCE_S


@pytest.mark.parametrize("value", ["-1", "soon", "inf", "nan"])
def test_a_patience_that_is_none_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.SETTING, value)
    with pytest.raises(UserError, match=f"VIDEOPROC_STORE_PATIENCE_S is '{value}'"):
        patience.patience_s()


def test_a_shard_is_written_whole_after_an_outage(gate: Gate, place: RemotePath) -> None:
    table = table_in(place)
    ends = threading.Event()
    with gate.refusing():
        made = in_thread(
            lambda: write_shard(
                table.folder, pa.Table.from_pylist(rows("a"), schema=SCHEMA), key=("id",)
            ),
            ends,
        )
        assert not ends.wait(AWAY_S)
    assert ends.wait(60)
    assert table.append(made) == 1


def open_table(place: RemotePath) -> Any:
    return storage.patient(
        place, lambda: DeltaTable(place.uri, storage_options=storage.delta_options(place))
    )


LIBRARIES: dict[str, Callable[[RemotePath], Any]] = {
    "boto3": OPERATIONS["look"],
    "pyarrow": OPERATIONS["read"],
    "deltalake": open_table,
}


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(patience.SETTING, "1")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
        monkeypatch.setenv(name, "us-east-1")


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("library", ["pyarrow", "deltalake"])
def test_a_store_that_is_too_busy_is_asked_again(web: Web, status: int, library: str) -> None:
    error = what_is_said(web, status, library)
    assert patience.may_pass(error), error


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize("status", [403, 501, 507])
@pytest.mark.parametrize("library", ["pyarrow", "deltalake"])
def test_a_store_that_refuses_is_not(web: Web, status: int, library: str) -> None:
    error = what_is_said(web, status, library)
    assert not patience.may_pass(error), error


def what_is_said(web: Web, status: int, library: str) -> Exception:
    """By a library that talks to a store which answers in this way alone."""
    web.fail = [status] * 50
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", web.address)
        patch.setattr(storage, "patient", lambda _, attempt: attempt())
        with pytest.raises(OSError, match="bucket") as raised:
            LIBRARIES[library](at("s3://bucket/status 503 UNAVAILABLE"))
    return raised.value


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize("library", LIBRARIES)
def test_a_certificate_that_is_not_trusted_is_refused_at_once(
    tls_endpoint: str, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", tls_endpoint)
    with pytest.raises(OSError, match=r"(?i)certificate|SSL"):
        LIBRARIES[library](at("s3://bucket/folder"))


@pytest.mark.usefixtures("_keys")
@pytest.mark.parametrize("library", LIBRARIES)
def test_https_where_http_is_spoken_is_refused_at_once(
    web: Web, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", web.address.replace("http://", "https://"))
    with pytest.raises(OSError, match=r"(?i)SSL|corrupt"):
        LIBRARIES[library](at("s3://bucket/folder"))


@pytest.fixture
def tls_endpoint() -> Iterator[str]:
    """A server that nobody trusts."""
    context = generate_adhoc_ssl_context()
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        context.wrap_socket(listening, server_side=True) as door,
    ):

        def greet() -> None:
            while door.fileno() >= 0:
                with suppress(OSError), door.accept()[0]:
                    pass

        threading.Thread(target=greet, daemon=True).start()
        yield f"https://127.0.0.1:{door.getsockname()[1]}"
        with suppress(OSError):
            door.shutdown(socket.SHUT_RDWR)


def busy(reason: str, *, limit_s: float = math.inf) -> Callable[[], Any]:
    def attempt() -> None:
        raise patience.TryAgainError(reason, limit_s=limit_s)

    return attempt


def test_what_fails_for_a_reason_of_its_own_costs_its_neighbours_no_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv(patience.SETTING, "60")
    with pytest.raises(OSError, match=r"bad file \([2-9]\d* tries\)"):
        patience.patiently(busy("bad file", limit_s=0.05), store="a host", give_up=OSError)
    monkeypatch.setenv(patience.SETTING, "0.05")
    with pytest.raises(OSError, match=r"away \([2-9]\d* tries\)"):
        patience.patiently(busy("away"), store="a host", give_up=OSError)
    with pytest.raises(OSError, match=r"away \(1 tries\)"):
        patience.patiently(busy("away"), store="a host", give_up=OSError)
    patience._given_up.discard("a host")
