"""Progress reads well in a log, and does not fill it."""

from __future__ import annotations

import pytest

from videoproc.report import progress
from videoproc.report.progress import Progress, say


@pytest.fixture
def clock(monkeypatch):
    """A clock that goes on when told to."""

    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_a_line_begins_with_its_job(capsys):
    say("index", "3 videos")
    assert capsys.readouterr().out == "index      3 videos\n"


def test_a_log_gets_a_line_every_few_seconds(clock, capsys):
    shown = Progress(job="extract", unit="clips", total=200, _printed=100.0)
    for done in range(1, 121):
        clock.now += 0.1
        shown.advance_to(done)
    shown.close()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("extract    5")


def test_a_line_tells_share_rate_and_the_time_left(clock, capsys):
    shown = Progress(job="extract", unit="clips", total=200, _printed=100.0)
    clock.now += 60.0  # what starting takes says nothing of the rate
    shown.advance_to(10)
    assert capsys.readouterr().out == "extract    10/200 clips (5%)\n"
    clock.now += 10.0
    shown.advance_to(60)
    assert capsys.readouterr().out == "extract    60/200 clips (30%), 5.0/s, 28 s left\n"


def test_nothing_done_yet_promises_no_end(clock, capsys):
    shown = Progress(job="extract", unit="clips", total=200, _printed=100.0)
    clock.now += 10.0
    shown.advance_to(0)
    assert capsys.readouterr().out == "extract    0/200 clips (0%)\n"
