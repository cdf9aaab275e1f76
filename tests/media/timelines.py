"""Packet tables of every shape: reordered frames, open groups, gaps, odd starts."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import strategies as st

from videoproc.media.plan import PacketTable
from videoproc.media.sampling import Timeline


@st.composite
def packet_tables(draw: st.DrawFn) -> PacketTable:
    """Mini groups of B-frames that are stored after the frame that follows them; any such frame may
    be a key frame, which makes its group of pictures an open one."""
    minis = draw(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=0, max_size=15))
    num_frames = 1 + sum(1 + num_b for num_b, _ in minis)
    gaps = draw(st.lists(st.integers(1, 9), min_size=num_frames, max_size=num_frames))
    shown = draw(st.integers(-500, 500)) + np.cumsum(gaps)
    stored, is_key, first = [0], [True], 1
    for num_b, key in minis:
        anchor = first + num_b
        stored += [anchor, *draw(st.permutations(range(first, anchor)))]
        is_key += [key] + [False] * num_b
        first = anchor + 1
    return PacketTable(
        pts=shown[stored].astype(np.int64),
        is_key=np.array(is_key),
        is_shown=np.ones(num_frames, dtype=bool),
        time_base=Fraction(1, draw(st.sampled_from([7, 30, 1000]))),
        end_pts=int(shown[-1]) + draw(st.integers(1, 9)),
    )


timelines = packet_tables().map(PacketTable.timeline)


def even_timeline(num_frames: int, *, fps: int = 25, key_every: int = 10) -> Timeline:
    """A constant rate, and a key frame at every tenth; every third frame is cheap."""
    numbers = np.arange(num_frames)
    return Timeline(
        pts=numbers.astype(np.int64),
        end_pts=num_frames,
        time_base=Fraction(1, fps),
        is_key=numbers % key_every == 0,
        is_cheap=numbers % 3 == 0,
    )


def stored_as(shown: str) -> PacketTable:
    """A table from a drawing in the order of storing: "K0 P3 b1 b2 K6 b4 b5"."""
    words = shown.split()
    return PacketTable(
        pts=np.array([int(word[1:]) for word in words], dtype=np.int64),
        is_key=np.array([word[0] == "K" for word in words]),
        is_shown=np.array([word[0] != "-" for word in words]),
        time_base=Fraction(1, 10),
        end_pts=max(int(word[1:]) for word in words) + 1,
    )
