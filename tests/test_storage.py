"""Places here and in an object store behave alike."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from tests.web import Web
from videoproc import storage
from videoproc.storage import Anywhere, HttpPath, RemotePath, at
from videoproc.types import UserError


@pytest.fixture(params=["local", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Anywhere:
    """An empty place of either kind."""
    if request.param == "local":
        return tmp_path / "root"
    return at(request.getfixturevalue("bucket")) / "root"


def test_what_is_written_whole_is_read_whole(root: Anywhere) -> None:
    file = root / "folder" / "a.txt"
    assert not file.exists()
    storage.write_whole(file, b"one")
    storage.write_whole(file, b"another")
    assert file.read_bytes() == b"another"
    assert file.read_text() == "another"
    assert file.is_file()
    assert not file.is_dir()
    assert (root / "folder").is_dir()
    assert storage.size_bytes(file) == 7
    assert storage.size_bytes(root / "none") is None


def test_files_are_listed_below_a_folder_in_the_order_of_names(root: Anywhere) -> None:
    for name in ("b/2", "a/1", "b/1"):
        storage.write_whole(root / name, name.encode())
    found = list(storage.files_below(root))
    assert [str(file.path.relative_to(root)) for file in found] == ["a/1", "b/1", "b/2"]  # type: ignore[arg-type]
    assert {file.size_bytes for file in found} == {3}
    assert list(storage.files_below(root / "none")) == []


def test_a_folder_whose_name_begins_alike_is_another(root: Anywhere) -> None:
    storage.write_whole(root / "cam" / "1", b"1")
    storage.write_whole(root / "cam2" / "1", b"1")
    assert len(list(storage.files_below(root / "cam"))) == 1


def test_a_stamp_changes_with_the_content_and_a_look_sees_what_a_listing_does(
    root: Anywhere,
) -> None:
    file = root / "a"
    storage.write_whole(file, b"one")
    before = storage.look(file)
    assert [before] == list(storage.files_below(root))
    storage.write_whole(file, b"two")
    after = storage.look(file)
    assert before is not None
    assert after is not None
    assert before.stamp != after.stamp
    assert storage.look(root / "none") is None


def test_a_range_of_a_file_is_read_without_the_rest(root: Anywhere) -> None:
    storage.write_whole(root / "a", bytes(range(256)) * 40)
    with (root / "a").open("rb") as file:
        file.seek(256 * 30 + 5)
        assert file.read(3) == bytes([5, 6, 7])


def test_text_is_read_by_line(root: Anywhere) -> None:
    storage.write_whole(root / "a", "é\nb\n".encode())
    with (root / "a").open("r", encoding="utf-8") as file:
        assert list(file) == ["é\n", "b\n"]


def test_deleting_is_told_when_there_is_nothing(root: Anywhere) -> None:
    storage.write_whole(root / "a", b"1")
    (root / "a").unlink()
    assert not (root / "a").exists()
    (root / "a").unlink(missing_ok=True)


def test_a_folder_goes_with_all_below_it(root: Anywhere) -> None:
    for name in ("a/1", "a/b/2", "c"):
        storage.write_whole(root / name, b"x")
    storage.delete_folder(root / "a")
    storage.delete_folder(root / "none")
    assert [file.path.name for file in storage.files_below(root)] == ["c"]


def test_a_folder_is_uploaded_and_is_here_again(root: Anywhere, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name in ("z", "position.json", "a"):
        (source / name).write_text(name)
    storage.upload_folder(source, root / "copy", last="position.json")
    with storage.local_folder(root / "copy") as folder:
        assert {path.name: path.read_text() for path in folder.iterdir()} == {
            name: name for name in ("z", "position.json", "a")
        }


def test_a_bucket_that_is_not_there_is_an_error_of_files_and_a_server_that_is_not_has_its_own(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bucket
    with pytest.raises(OSError, match=r"the object store refuses s3://no-such-bucket"):
        list(storage.files_below(at("s3://no-such-bucket/a")))
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
        monkeypatch.setenv("VIDEOPROC_STORE_PATIENCE_S", "0.1")
        with pytest.raises(storage.StoreAwayError, match=r"s3://bucket/a: Could not connect"):
            storage.look(at("s3://bucket/a"))


def test_a_write_that_fails_leaves_what_was_there_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write_whole(tmp_path / "a", b"good")

    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        storage.write_whole(tmp_path / "a", b"bad")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_bytes() == b"good"


def test_what_is_written_has_the_rights_of_any_file(tmp_path: Path) -> None:
    storage.write_whole(tmp_path / "a", b"1")
    (tmp_path / "b").write_bytes(b"1")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("a", "b")}
    assert len(modes) == 1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("videos/a.mp4", Path("videos/a.mp4")),
        ("file:///data/a.mp4", Path("/data/a.mp4")),
        ("s3://bucket/a b/ü", RemotePath("s3://bucket/a b/ü")),
        ("gs://bucket/folder/", RemotePath("gs://bucket/folder")),
        ("http://host/a%20b.mp4?key=1/", HttpPath("http://host/a%20b.mp4?key=1/")),
        ("https://host:8443/a", HttpPath("https://host:8443/a")),
    ],
)
def test_text_names_a_place(text: str, place: Anywhere) -> None:
    assert at(text) == place


@pytest.mark.parametrize(
    "text",
    ["ftp://host/a", "s3://", "s3:///a", "s3://bucket//a", "http:///a", "https://", "http://[a"],
)
def test_text_that_names_no_place_is_refused_with_those_that_would(text: str) -> None:
    with pytest.raises(UserError, match=r"(s3|https)://"):
        at(text)


def test_a_remote_place_is_never_taken_for_a_path_of_this_machine() -> None:
    with pytest.raises(TypeError, match="is not on this machine"):
        os.fspath(RemotePath("s3://b/a"))


def test_a_remote_place_has_the_parts_of_a_path() -> None:
    place = RemotePath("s3://bucket/a/b.tar.gz")
    assert (place.name, place.suffix, place.parent.name) == ("b.tar.gz", ".gz", "a")
    assert str(place.parent / "c") == "s3://bucket/a/c"
    assert place.relative_to(RemotePath("s3://bucket")) == Path("a/b.tar.gz")


def test_a_file_of_a_web_server_is_read_like_any_other(web: Web) -> None:
    file = at(web.put("/folder/a%20b.txt", "é\nb\n".encode()))
    assert (file.name, file.suffix) == ("a b.txt", ".txt")
    assert file.is_file()
    assert not file.is_dir()
    assert storage.size_bytes(file) == 5
    assert file.read_bytes() == "é\nb\n".encode()
    with file.open("r", encoding="utf-8") as lines:
        assert list(lines) == ["é\n", "b\n"]
    with file.open("rb") as binary:
        binary.seek(3)
        assert binary.read() == b"b\n"
    found = storage.look(file)
    assert found is not None
    assert (found.path, found.size_bytes, found.stamp) == (file, 5, "etag:1")
    none = at(f"{web.address}/none")
    assert storage.look(none) is None
    assert storage.size_bytes(none) is None
    assert not none.exists()
    with pytest.raises(FileNotFoundError, match="HTTP 404"):
        none.open("rb")


def test_names_beside_a_file_of_a_web_server_are_encoded() -> None:
    folder = at("https://host/lists/videos.csv?key=1").parent
    assert str(folder) == "https://host/lists"
    assert str(folder / "a b/50% #1?.mp4") == "https://host/lists/a%20b/50%25%20%231%3F.mp4"
    assert (folder / "a b/50% #1?.mp4").name == "50% #1?.mp4"


def test_a_web_server_is_not_written_to_and_lists_nothing() -> None:
    file = at("https://user:secret@host/a.mp4?key=secret")
    for write in (
        lambda: storage.write_whole(file, b"1"),
        lambda: file.open("w"),
        lambda: file.unlink(missing_ok=True),
        lambda: file.mkdir(parents=True),
    ):
        with pytest.raises(UserError, match=r"^https://host/a.mp4 can only be read") as refused:
            write()
        assert "secret" not in str(refused.value)
    with pytest.raises(UserError, match="lists no folder"):
        list(storage.files_below(file))


def test_only_who_reads_elsewhere_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VIDEOPROC_STORE_PATIENCE_S", "7")
    assert storage.most_waiting_s(["/a.mp4", "file:///b.mp4", "gopher://host/c.mp4"]) == 0
    assert storage.most_waiting_s(["/a.mp4", "s3://bucket/b.mp4"]) == 7
    assert storage.most_waiting_s(["https://host/b.mp4"]) == 7
