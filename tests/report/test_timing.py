"""Where the time went, in words."""

from __future__ import annotations

from videoproc.report.timing import where_time_went


def test_the_largest_share_comes_first():
    said = where_time_went({"write": 1.0, "decode": 3.04})
    assert said == "decode 3.0 s (75%), write 1.0 s (25%)"


def test_a_job_that_did_nothing_says_so():
    assert where_time_went({}) == "no work was done"
