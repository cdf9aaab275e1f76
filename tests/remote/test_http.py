"""What web servers do: they are asked again, followed or refused, and no secret is told."""

from __future__ import annotations

import base64
import os
import socket
from pathlib import Path

import pytest

from tests.web import Web
from videoproc.remote import HttpSource, RangeFile, http, patience

CONTENT = bytes(range(256)) * 4096


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "FIRST_WAIT_S", 0.01)
    monkeypatch.setenv(patience.SETTING, "0.3")


def open_ranges(url: str) -> RangeFile:
    return RangeFile(HttpSource(url))


def test_a_busy_server_is_asked_again(web: Web) -> None:
    web.fail = [503, 429, 500]
    with open_ranges(web.put("/a", CONTENT)) as file:
        assert file.read() == CONTENT
        assert file.num_requests == len(web.asked)


def test_patience_ends_in_one_line_without_the_query(web: Web) -> None:
    web.fail = [503] * 20
    web.put("/a", CONTENT)
    secret = web.address.replace("http://", "http://user:password@") + "/a?signature=secret"
    with pytest.raises(OSError, match=r"HTTP 503 Service Unavailable \(\d+ tries\)") as raised:
        open_ranges(secret)
    assert f"{web.address}/a cannot be read" in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "password" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_a_file_on_which_the_server_fails_is_given_up_soon_and_its_neighbours_are_not(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(patience.SETTING, "60")
    monkeypatch.setattr(http, "OF_ONE_FILE_S", {500: 0.1})
    good = web.put("/good", CONTENT)
    web.fail = [500] * 1000
    with pytest.raises(OSError, match=r"HTTP 500 Internal Server Error \(\d+ tries\)"):
        open_ranges(f"{web.address}/bad")
    web.fail = [503, 503, 503]
    with open_ranges(good) as file:
        assert file.read() == CONTENT


def test_a_body_that_breaks_off_goes_on_where_it_did(web: Web) -> None:
    web.cuts = 2
    with open_ranges(web.put("/a", CONTENT)) as file:
        assert file.read() == CONTENT
    starts = [wanted for _, _, wanted in web.asked]
    assert starts[:3] == ["bytes=0-262143", "bytes=131072-262143", "bytes=196608-262143"]


def test_a_server_that_gives_little_at_a_time_is_asked_for_the_rest(web: Web) -> None:
    web.most_bytes = 10_000
    with open_ranges(web.put("/a", CONTENT)) as file:
        assert file.read() == CONTENT
        assert file.bytes_fetched == len(CONTENT)


def test_no_server_is_an_error_of_files() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/a?key=secret"
        with pytest.raises(OSError, match=r"/a cannot be read: no connection \(\d+ tries\)"):
            open_ranges(url)
        with pytest.raises(OSError, match="no connection"):
            http.look(url)


@pytest.mark.parametrize(
    ("status", "kind"), [(404, FileNotFoundError), (403, PermissionError), (400, OSError)]
)
def test_a_refusal_is_not_asked_again(web: Web, status: int, kind: type[OSError]) -> None:
    web.fail = [status]
    with pytest.raises(kind, match=f"HTTP {status}"):
        open_ranges(f"{web.address}/a")
    assert len(web.asked) == 1


@pytest.mark.parametrize("host", ["a..b", "a" * 70 + ".com", "a:99999"])
def test_a_host_that_cannot_be_is_an_error_of_files(host: str) -> None:
    with pytest.raises(OSError, match=f"http://{host}/a cannot be read"):
        open_ranges(f"http://{host}/a?key=secret")


def test_a_file_that_moved_is_followed(web: Web) -> None:
    web.put("/a", CONTENT)
    with open_ranges(f"{web.address}/moved/a") as file:
        assert file.read() == CONTENT


def test_a_user_and_password_in_the_address_are_shown_to_the_server(web: Web) -> None:
    url = web.put("/a", CONTENT).replace("http://", "http://user:password@")
    with open_ranges(url) as file:
        file.read(1)
    assert web.authorizations[0] == "Basic " + base64.b64encode(b"user:password").decode()


def test_a_query_goes_to_the_server_as_it_is(web: Web) -> None:
    url = web.put("/a%20b%23.mp4", CONTENT) + "?x=1%2F2&y=%e3%81%82"
    with open_ranges(url):
        assert web.asked[0][1] == "/a%20b%23.mp4?x=1%2F2&y=%E3%81%82"


def test_a_server_that_ignores_ranges_is_asked_once_and_leaves_no_file(
    web: Web, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    web.ignores_ranges = True
    with open_ranges(web.put("/a", CONTENT)) as file:
        file.seek(1000)
        assert file.read(3) == CONTENT[1000:1003]
        file.seek(0)
        assert file.read() == CONTENT
        assert (file.num_requests, file.bytes_fetched) == (1, len(CONTENT))
        assert list(tmp_path.iterdir()) == []


def test_a_whole_body_that_breaks_off_is_fetched_anew(web: Web) -> None:
    web.ignores_ranges, web.cuts = True, 1
    with open_ranges(web.put("/a", CONTENT)) as file:
        assert file.read() == CONTENT
        assert file.bytes_fetched == len(CONTENT) * 3 // 2


def test_a_whole_file_above_the_limit_is_refused_before_it_is_fetched(web: Web) -> None:
    web.ignores_ranges = True
    url = web.put("/a", CONTENT)
    refused = HttpSource(url, max_whole_bytes=len(CONTENT) - 1)
    with pytest.raises(OSError, match="cannot be read by ranges, and has more than the 1048575"):
        RangeFile(refused)
    assert refused.bytes_fetched == 0


@pytest.mark.parametrize("by", ["tag", "size", "disappearing"])
def test_a_file_that_changes_between_two_requests_is_an_error(web: Web, by: str) -> None:
    with open_ranges(web.put("/a", CONTENT)) as file:
        if by == "tag":
            web.tag = '"2"'
        else:
            web.put("/a", CONTENT + b"more" if by == "size" else b"")
        with pytest.raises(OSError, match="/a changed while it was read"):
            file.read()


@pytest.mark.parametrize("refuses_head", [False, True])
def test_a_look_tells_size_and_stamp(web: Web, refuses_head: bool) -> None:
    web.refuses_head = refuses_head
    url = web.put("/a", CONTENT)
    before = http.look(url)
    assert before == http.Found(size_bytes=len(CONTENT), stamp="etag:1", modified_s=1795255200.0)
    web.tag = '"2"'
    after = http.look(url)
    assert after is not None
    assert after.stamp != before.stamp
    assert http.look(f"{web.address}/none") is None


def test_without_a_tag_the_time_of_change_is_the_stamp(web: Web) -> None:
    web.tag = ""
    found = http.look(web.put("/a", CONTENT))
    assert found is not None
    assert found.stamp == "modified:Sat, 21 Nov 2026 10:00:00 GMT"


def test_connections_are_kept_and_used_again(web: Web) -> None:
    url = web.put("/a", CONTENT)
    open_files = len(list(Path(f"/proc/{os.getpid()}/fd").iterdir()))
    for _ in range(60):
        with open_ranges(url) as file:
            file.seek(600_000)
            file.read(10)
    assert web.opened == 1
    assert len(list(Path(f"/proc/{os.getpid()}/fd").iterdir())) <= open_files + 2
