"""Where the time went, in words."""

from __future__ import annotations

import pytest

from videoproc.report.timing import duration, where_time_went


def test_the_largest_share_comes_first():
    said = where_time_went({"write": 1.0, "decode": 3.04})
    assert said == "decode 3.0 s (75%), write 1.0 s (25%)"


def test_a_job_that_did_nothing_says_so():
    assert where_time_went({}) == "no work was done"


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.5, "0.5 s"), (45, "45 s"), (720, "12 min"), (12_240, "3.4 h")]
)
def test_durations_are_for_people(seconds, said):
    assert duration(seconds) == said
