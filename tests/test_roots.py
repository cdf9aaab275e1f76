"""Roots: what lists, tables and links name lies below them, or is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.web import Web
from videoproc.remote.http import OutsideRoots
from videoproc.roots import Roots
from videoproc.storage import HttpPath, look


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    (tmp_path / "corpus" / "walk").mkdir(parents=True)
    (tmp_path / "corpus-two").mkdir()
    for name in ("corpus/walk/a.mp4", "corpus-two/a.mp4", "secret.mp4"):
        (tmp_path / name).write_bytes(b"")
    return tmp_path / "corpus"


@pytest.mark.parametrize("name", ["{}/walk/a.mp4", "file://{}/walk/a.mp4", "{}/not there.mp4"])
def test_a_path_below_the_root_is_found(corpus: Path, name: str) -> None:
    uri = name.format(corpus)
    assert Roots((str(corpus),)).find(uri) == Path(uri.removeprefix("file://"))


@pytest.mark.parametrize(
    "name",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "{}/../secret.mp4",
        "{}-two/a.mp4",
        "walk/a.mp4",
        "s3://bucket/a.mp4",
        "http://169.254.169.254/latest/meta-data",
    ],
)
def test_a_path_elsewhere_is_refused_with_the_entry_the_root_and_the_remedy(
    corpus: Path, name: str
) -> None:
    uri = name.format(corpus)
    with pytest.raises(OutsideRoots) as refused:
        Roots((str(corpus),)).find(uri)
    for part in (uri, str(corpus), "--roots"):
        assert part in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_path_that_no_system_takes_is_an_error_of_its_own(corpus: Path) -> None:
    with pytest.raises(OSError, match="is no path"):
        Roots((str(corpus),)).find(f"{corpus}/a\0.mp4")


@pytest.mark.parametrize("link", ["a.mp4", "folder"])
def test_a_link_out_of_the_root_is_followed_and_refused(corpus: Path, link: str) -> None:
    target = corpus.parent / ("secret.mp4" if link == "a.mp4" else "corpus-two")
    (corpus / link).symlink_to(target)
    uri = str(corpus / link) if link == "a.mp4" else str(corpus / link / "a.mp4")
    with pytest.raises(OutsideRoots):
        Roots((str(corpus),)).find(uri)
    assert Roots((str(corpus), str(corpus.parent))).find(uri).is_file()


def test_a_root_may_itself_be_a_link(corpus: Path) -> None:
    (corpus.parent / "link").symlink_to(corpus)
    assert Roots((str(corpus.parent / "link"),)).find(str(corpus / "walk" / "a.mp4")).is_file()


@pytest.mark.parametrize(
    ("root", "uri"),
    [
        ("s3://bucket", "s3://bucket/a.mp4"),
        ("s3://bucket/walk/", "s3://bucket/walk/a.mp4"),
        ("https://host/walk", "https://host/walk/a.mp4?X-Amz-Signature=2f"),
        ("https://host", "https://HOST:443/a%20b.mp4"),
        ("http://host/", "https://host/a.mp4"),
        ("https://host/a b", "https://ann:pass@host/a%20b/c.mp4"),
    ],
)
def test_an_address_below_the_root_is_found(root: str, uri: str) -> None:
    assert str(Roots((root,)).find(uri)) == uri


@pytest.mark.parametrize(
    ("root", "uri"),
    [
        ("s3://bucket", "s3://other/a.mp4"),
        ("s3://bucket", "gs://bucket/a.mp4"),
        ("s3://bucket/walk", "s3://bucket/walking/a.mp4"),
        ("s3://bucket/walk", "s3://bucket/walk/../a.mp4"),
        ("s3://bucket", "/bucket/a.mp4"),
        ("https://host/walk", "https://host/walking/a.mp4"),
        ("https://host/walk", "https://host/walk/../a.mp4"),
        ("https://host/walk", "https://host/walk/%2e%2E/a.mp4"),
        ("https://host/walk", "https://host/walk/%252e%252e/a.mp4"),
        ("https://host/walk", "https://host/walk/..;/a.mp4"),
        ("https://host/walk", "https://host/walk/%2e.%3Bx=1/a.mp4"),
        ("https://host/walk", "https://host/walk\\..\\a.mp4"),
        ("https://host", "http://host/a.mp4"),
        ("https://host", "https://host:8443/a.mp4"),
        ("https://host", "https://host.evil/a.mp4"),
        ("https://host", "https://host@evil/a.mp4"),
        ("https://host", "https://evil\\@host/a.mp4"),
        ("https://host", "https://host:port/a.mp4"),
    ],
)
def test_an_address_elsewhere_is_refused_however_it_is_spelt(root: str, uri: str) -> None:
    with pytest.raises(OutsideRoots):
        Roots((root,)).find(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "https://ann:pass@evil/a.mp4?X-Amz-Signature=2f",
        "https://ann:my pass@evil/ann's video.mp4?key=2f",
    ],
)
def test_a_refusal_shows_no_secret(uri: str) -> None:
    with pytest.raises(OutsideRoots) as refused:
        Roots(("https://host",)).find(uri)
    assert "pass@" not in str(refused.value)
    assert "2f" not in str(refused.value)


def test_a_server_leads_its_reader_only_to_where_videos_may_lie(web: Web) -> None:
    web.put("/walk/a.mp4", b"video")
    web.put("/secret", b"key")
    roots = Roots((f"{web.address}/walk", f"{web.address}/moved"))
    assert look(roots.find(f"{web.address}/moved/walk/a.mp4")) is not None
    away = roots.find(f"{web.address}/moved/secret")
    assert isinstance(away, HttpPath)
    with pytest.raises(OutsideRoots, match=r"leads to .*/secret, outside the roots"):
        look(away)
    with pytest.raises(OutsideRoots, match="leads to"):
        away.read_bytes()
    assert "/secret" not in {path for _, path, _ in web.asked}
