"""The arithmetic of reaching frames: which packets must be decoded, and which need not."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.media.timelines import packet_tables, stored_as
from videoproc.media.plan import Visit, plan_visits


def visits_of(drawing: str, *frames: int) -> list[Visit]:
    return plan_visits(stored_as(drawing), frames=np.array(frames))


def test_frames_are_told_in_the_order_of_presentation():
    table = stored_as("K0 P3 b1 b2 K6 b4 b5")
    assert table.packet_of_frame.tolist() == [0, 2, 3, 1, 5, 6, 4]
    timeline = table.timeline()
    assert timeline.pts.tolist() == [0, 1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(timeline.is_key).tolist() == [0, 6]


def test_packets_that_show_nothing_are_no_frames():
    table = stored_as("-0 P1 -2 P3")
    assert table.timeline().pts.tolist() == [1, 3]
    assert table.packet_of_frame.tolist() == [1, 3]


def test_frames_that_others_are_stored_behind_are_cheap():
    assert stored_as("K0 P3 b1 b2 P4").timeline().is_cheap.tolist() == [1, 0, 0, 1, 1]


def test_a_visit_begins_at_a_key_frame_and_ends_with_the_last_wanted_packet():
    assert visits_of("K0 P1 P2 P3 K4 P5 P6 P7", 1, 6) == [
        Visit(start=0, stop=2, wanted=(1,)),
        Visit(start=4, stop=7, wanted=(6,)),
    ]


def test_a_wanted_frame_is_stored_before_those_shown_before_it():
    # P3 is the second packet: the two b-frames behind it are not needed.
    assert visits_of("K0 P3 b1 b2 P4", 3) == [Visit(start=0, stop=2, wanted=(1,))]


def test_a_frame_shown_before_a_key_frame_and_stored_after_it_belongs_to_the_group_before():
    assert visits_of("K0 P1 K4 b2 b3 P5", 3) == [Visit(start=0, stop=5, wanted=(4,))]
    assert visits_of("K0 P1 K4 b2 b3 P5", 5) == [Visit(start=2, stop=6, wanted=(5,))]


def test_a_visit_that_passes_through_a_key_frame_goes_on():
    assert visits_of("K0 P1 K4 b2 b3 P5", 3, 5) == [Visit(start=0, stop=6, wanted=(4, 5))]


@given(table=packet_tables(), data=st.data())
def test_visits_bring_every_wanted_frame_and_visit_no_group_without_one(table, data):
    num_frames = int(table.is_shown.sum())
    frames = data.draw(st.lists(st.integers(0, num_frames - 1), min_size=1))
    visits = plan_visits(table, frames=np.array(frames))
    # The definition, frame by frame: from the last key frame that it cannot refer past.
    needed = set()
    groups = {}
    for frame in set(frames):
        packet = int(table.packet_of_frame[frame])
        keys = [
            key
            for key in np.flatnonzero(table.is_key).tolist()
            if key <= packet and table.pts[key] <= table.pts[packet]
        ]
        groups.setdefault(keys[-1], []).append(packet)
        needed |= set(range(keys[-1], packet + 1))
    decoded = [packet for visit in visits for packet in range(visit.start, visit.stop)]
    assert len(decoded) == len(set(decoded)), "no packet is decoded twice"
    assert set(decoded) == needed
    assert [packet for visit in visits for packet in visit.wanted] == sorted(
        int(packet) for packet in table.packet_of_frame[sorted(set(frames))]
    )
    for visit in visits:
        assert visit.start in groups
        assert visit.wanted[-1] == visit.stop - 1
