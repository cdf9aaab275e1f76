"""An object of an S3 store is read by ranges, whatever it is called."""

from __future__ import annotations

import pytest

from videoproc import storage
from videoproc.remote import ArrowSource, RangeFile
from videoproc.storage import at

CONTENT = bytes(range(256)) * 4096


def test_a_range_is_read_without_the_rest(bucket: str) -> None:
    place = at(bucket) / "a"
    storage.write_whole(place, CONTENT)
    with storage.open_ranges(place) as file:
        assert file.size == len(CONTENT)
        file.plan([(700_000, 700_010)])
        file.seek(700_000)
        assert file.read(100) == CONTENT[700_000:700_010]
        assert (file.num_requests, file.bytes_fetched) == (2, (256 << 10) + 10)


@pytest.mark.parametrize(
    "name", ["a b'\"c.mp4", "50% #1?.mp4", "Grilled Pizza： ｆｕｌｌ.webm", "a+b&c=d%20.mp4"]
)
def test_a_key_may_have_any_characters(bucket: str, name: str) -> None:
    place = at(f"{bucket}/folder {name}/{name}")
    storage.write_whole(place, CONTENT[:1000])
    with storage.open_ranges(place) as file:
        assert file.read() == CONTENT[:1000]
    found = storage.look(place)
    assert found is not None
    assert found in list(storage.files_below(at(bucket)))


def test_an_empty_object_is_a_file_and_none_is_an_error(bucket: str) -> None:
    storage.write_whole(at(bucket) / "empty", b"")
    with storage.open_ranges(at(bucket) / "empty") as file:
        assert file.read() == b""
    with pytest.raises(FileNotFoundError, match="none"):
        storage.open_ranges(at(bucket) / "none")


def test_an_object_that_changes_between_two_requests_is_an_error(bucket: str) -> None:
    place = at(bucket) / "a"
    storage.write_whole(place, CONTENT)
    with storage.open_ranges(place) as file:
        storage.write_whole(place, CONTENT[::-1])
        with pytest.raises(OSError, match="changed while it was read"):
            file.read()


def test_what_only_pyarrow_reads_is_read_by_ranges_too(bucket: str) -> None:
    """As gs:// is, for which there is no server to test with."""
    place = at(bucket) / "a"
    storage.write_whole(place, CONTENT)
    opened = storage.filesystem(place).open_input_file(storage.native(place))
    with RangeFile(ArrowSource(opened, name=str(place))) as file:
        file.plan([(700_000, 700_010)])
        file.seek(700_000)
        assert file.read(100) == CONTENT[700_000:700_010]
        assert file.bytes_fetched == (256 << 10) + 10
        file.plan(None)
        file.seek(0)
        assert file.read() == CONTENT
