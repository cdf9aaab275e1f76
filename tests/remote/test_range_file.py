"""A remote file reads as a local one does, and fetches no more than it must."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web import Web, serve
from videoproc.remote import HttpSource, RangeFile, range_file
from videoproc.remote.range_file import BLOCK_BYTES, MAX_AHEAD_BYTES, MAX_GAP_BYTES, merged

MIB = 1 << 20
CONTENT = np.random.default_rng(0).bytes(12 * MIB)


@pytest.fixture
def file(web: Web) -> RangeFile:
    return RangeFile(HttpSource(web.put("/a", CONTENT)))


def ranges_asked(web: Web) -> list[tuple[int, int]]:
    spans = [wanted.removeprefix("bytes=").split("-") for _, _, wanted in web.asked if wanted]
    return [(int(first), int(last) + 1) for first, last in spans]


def read_at(file: RangeFile, start: int, stop: int) -> bytes:
    file.seek(start)
    content = b""
    while len(content) < stop - start:
        part = file.read(stop - start - len(content))
        assert part
        content += part
    return content


def test_opening_costs_one_request_that_tells_the_size(web: Web, file: RangeFile) -> None:
    assert file.size == len(CONTENT)
    assert ranges_asked(web) == [(0, BLOCK_BYTES)]
    assert (file.num_requests, file.bytes_fetched) == (1, BLOCK_BYTES)


def test_a_file_read_to_its_end_is_all_there_and_was_fetched_once(file: RangeFile) -> None:
    assert file.read() == CONTENT
    assert file.read(1) == b""
    assert file.bytes_fetched == len(CONTENT)


def test_reading_on_fetches_ever_more_at_once_until_there_is_a_jump(
    web: Web, file: RangeFile
) -> None:
    while file.read(32 << 10):
        pass
    sizes = [stop - start for start, stop in ranges_asked(web)]
    assert sizes[1:5] == [2 * BLOCK_BYTES, 4 * BLOCK_BYTES, 8 * BLOCK_BYTES, MAX_AHEAD_BYTES]
    with RangeFile(HttpSource(f"{web.address}/a")) as other:
        web.asked.clear()
        read_at(other, BLOCK_BYTES, 2 * BLOCK_BYTES)
        read_at(other, 9 * MIB, 9 * MIB + 10)
    assert ranges_asked(web)[-1] == (9 * MIB, 9 * MIB + BLOCK_BYTES)


def test_what_is_in_memory_is_not_fetched_again(file: RangeFile) -> None:
    read_at(file, 5 * MIB + 1000, 5 * MIB + 2000)
    fetched = file.bytes_fetched
    assert read_at(file, 5 * MIB, 5 * MIB + 5000) == CONTENT[5 * MIB : 5 * MIB + 5000]
    assert file.bytes_fetched == fetched


def test_memory_is_bounded(file: RangeFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(range_file, "MAX_CACHE_BYTES", 2 * BLOCK_BYTES)
    for start in (2 * MIB, 4 * MIB, 6 * MIB):
        read_at(file, start, start + 1)
    fetched = file.bytes_fetched
    read_at(file, 6 * MIB, 6 * MIB + 1)  # used last
    assert file.bytes_fetched == fetched
    read_at(file, 2 * MIB, 2 * MIB + 1)  # used first
    assert file.bytes_fetched == fetched + BLOCK_BYTES


def test_seeking_is_that_of_files(file: RangeFile) -> None:
    assert file.seek(-3, io.SEEK_END) == len(CONTENT) - 3
    assert file.read(10) == CONTENT[-3:]
    file.seek(10)
    assert file.seek(5, io.SEEK_CUR) == file.tell() == 15
    assert file.seek(100, io.SEEK_END) == len(CONTENT) + 100
    assert file.read(10) == b""
    with pytest.raises(OSError, match="no byte -1"):
        file.seek(-1)


def test_planned_ranges_come_in_one_request_each_and_nothing_beside_them(
    web: Web, file: RangeFile
) -> None:
    web.asked.clear()
    plan = [(2 * MIB + 5, 3 * MIB), (7 * MIB, 7 * MIB + 9)]
    file.plan(plan)
    for start, stop in plan:
        for position in range(start, stop, 32 << 10):
            read_at(file, position, min(position + (32 << 10), stop))
    assert ranges_asked(web) == plan


def test_planned_ranges_that_are_near_come_together_and_long_ones_in_pieces(
    web: Web, file: RangeFile
) -> None:
    web.asked.clear()
    first = (1 * MIB, 2 * MIB)
    near = (first[1] + MAX_GAP_BYTES, 11 * MIB)
    file.plan([near, first])
    assert read_at(file, first[0], near[1]) == CONTENT[first[0] : near[1]]
    assert ranges_asked(web) == [(1 * MIB, 9 * MIB), (9 * MIB, 11 * MIB)]


def test_beside_a_plan_only_what_is_read_is_fetched_and_after_it_blocks_again(
    web: Web, file: RangeFile
) -> None:
    file.plan([(2 * MIB, 3 * MIB)])
    web.asked.clear()
    file.seek(5 * MIB)
    file.read(1000)
    file.plan(None)
    file.seek(6 * MIB + 10)
    file.read(1000)
    assert ranges_asked(web) == [(5 * MIB, 5 * MIB + 1000), (6 * MIB, 6 * MIB + BLOCK_BYTES)]


def test_a_read_ends_where_a_planned_range_does(file: RangeFile) -> None:
    """A demuxer asks for 32 KiB whatever it needs: the rest would be another request."""
    file.plan([(2 * MIB, 2 * MIB + 1000)])
    file.seek(2 * MIB)
    assert len(file.read(32 << 10)) == 1000


def test_blank_ranges_read_as_zeros_for_nothing_between_true_ones(
    web: Web, file: RangeFile
) -> None:
    web.asked.clear()
    file.blank([(MIB, 2 * MIB), (2 * MIB, 10 * MIB), (10 * MIB + 100, 11 * MIB)])
    expected = bytearray(CONTENT)
    expected[MIB : 10 * MIB] = bytes(9 * MIB)
    expected[10 * MIB + 100 : 11 * MIB] = bytes(MIB - 100)
    file.seek(0)
    assert file.read() == expected
    assert (10 * MIB, 10 * MIB + 100) in ranges_asked(web)
    assert file.bytes_fetched == len(CONTENT) - 9 * MIB - (MIB - 100)
    file.blank(())
    assert read_at(file, 4 * MIB, 4 * MIB + 10) == CONTENT[4 * MIB : 4 * MIB + 10]


SMALL = CONTENT[:5000]
SPANS = st.lists(st.tuples(st.integers(0, 5200), st.integers(0, 900)), max_size=5).map(
    lambda spans: [(start, min(start + length, 5000)) for start, length in spans]
)


@pytest.fixture(scope="module")
def small_url() -> object:
    with serve() as web:
        yield web.put("/a", SMALL)


@settings(max_examples=60, deadline=None)
@given(plan=SPANS, blanks=SPANS, reads=SPANS)
def test_whatever_is_planned_blank_and_read_the_bytes_are_right(
    small_url: str, plan: list, blanks: list, reads: list
) -> None:
    expected = bytearray(SMALL)
    for start, stop in blanks:
        expected[start:stop] = bytes(max(0, stop - start))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(range_file, "BLOCK_BYTES", 256)
        patch.setattr(range_file, "MAX_AHEAD_BYTES", 1024)
        patch.setattr(range_file, "MAX_PIECE_BYTES", 700)
        patch.setattr(range_file, "MAX_GAP_BYTES", 50)
        patch.setattr(range_file, "MAX_CACHE_BYTES", 1500)
        with RangeFile(HttpSource(small_url)) as file:
            file.plan(plan)
            file.blank(blanks)
            for start, stop in reads:
                if start < stop:
                    assert read_at(file, start, stop) == expected[start:stop]


def test_ranges_are_merged_over_gaps_and_empty_ones_left_out() -> None:
    assert merged([(30, 40), (0, 10), (5, 8), (12, 20), (25, 25)], gap_bytes=2) == [
        (0, 20),
        (30, 40),
    ]


def test_an_empty_file_is_a_file(web: Web) -> None:
    with RangeFile(HttpSource(web.put("/empty", b""))) as file:
        assert file.size == 0
        assert file.read() == b""


def test_a_closed_file_is_not_read(file: RangeFile) -> None:
    file.close()
    with pytest.raises(ValueError, match="closed"):
        file.read(1)
