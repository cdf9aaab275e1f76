"""What stores may answer beside what they were asked for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from videoproc.remote.source import Answer, Source


class Endless(Source):
    """Gives out bytes for as long as someone reads."""

    @contextmanager
    def _ask(self, start: int, stop: int) -> Iterator[Answer]:  # noqa: ARG002
        yield Answer(total_bytes=1 << 40, tag="", chunks=itertools.repeat(bytes(1000)))


def test_more_than_was_asked_for_is_not_read() -> None:
    source = Endless("endless")
    assert source.fetch(0, 2500) == bytes(2500)
    assert source.bytes_fetched == 3000
