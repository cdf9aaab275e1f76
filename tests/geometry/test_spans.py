"""Spans under a change of clock."""

from __future__ import annotations

import numpy as np

from videoproc.geometry import spans

SPANS = np.array([[1.0, 2.0], [4.0, 7.0]])


def test_played_backwards_start_and_end_change_places():
    assert spans.transform(SPANS, scale=-1, offset_s=8).tolist() == [[6, 7], [1, 4]]


def test_at_half_speed_spans_last_twice_as_long():
    assert spans.transform(SPANS, scale=2, offset_s=-1).tolist() == [[1, 3], [7, 13]]


def test_a_span_outside_keeps_its_row_and_has_no_length():
    assert spans.clip(SPANS, start_s=3, end_s=5).tolist() == [[3, 3], [4, 5]]


def test_no_spans_stay_no_spans():
    assert spans.transform(np.zeros((0, 2)), scale=2, offset_s=0).shape == (0, 2)
