"""How to reach the frames that are wanted: arithmetic on the packet table, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from videoproc.media.sampling import Timeline


@dataclass(frozen=True, kw_only=True)
class PacketTable:
    """A video's packets in the order of decoding; all arrays have one length.

    pts: int64, ticks of `time_base`, unique among those shown. is_key: decoding can begin here.
    is_shown: the packet brings a frame to the screen; the others are only referred to, or cut off
    by an edit list. end_pts: when the display of the last frame ends.
    """

    pts: np.ndarray
    is_key: np.ndarray
    is_shown: np.ndarray
    time_base: Fraction
    end_pts: int

    @property
    def packet_of_frame(self) -> np.ndarray:
        """For each frame in presentation order the packet that brings it: (N,) int64."""
        shown = np.flatnonzero(self.is_shown)
        return shown[np.argsort(self.pts[shown], kind="stable")]

    def timeline(self) -> Timeline:
        packets = self.packet_of_frame
        # Frames are stored in the order in which they are needed: one that is shown later than all
        # stored before it is referred to by those that follow, as far as packets can tell.
        newest_before = np.maximum.accumulate(np.concatenate([[self.pts[0] - 1], self.pts[:-1]]))
        is_cheap = self.pts > newest_before
        return Timeline(
            pts=self.pts[packets],
            end_pts=self.end_pts,
            time_base=self.time_base,
            is_key=self.is_key[packets],
            is_cheap=is_cheap[packets],
        )


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One stay in the file: decode the packets [start, stop), of which `wanted` bring frames.

    `start` is a key frame's; `wanted` ascends and its last is stop - 1.
    """

    start: int
    stop: int
    wanted: tuple[int, ...]


def plan_visits(table: PacketTable, *, frames: np.ndarray) -> list[Visit]:
    """The fewest packets from which the frames (numbers in presentation order) can be decoded.

    A frame belongs to the last key frame at or before it, in the order of presentation as in that
    of decoding: one that is shown before a key frame but stored after it may refer to the group
    before (K key frame, w wanted):

        stored   K0 . . . K4 w3 . . K8 . .          shown   K0 . . w3 K4 . . . K8 . .
        visit    ^--------------^                   from K0, on through K4
    """
    if not len(frames):
        return []
    wanted = np.unique(table.packet_of_frame[np.unique(frames)])
    keys = np.flatnonzero(table.is_key)
    stored_before = np.searchsorted(keys, wanted, side="right") - 1
    shown_before = np.searchsorted(table.pts[keys], table.pts[wanted], side="right") - 1
    # A frame before every key frame is reached from the first one, or not at all.
    groups = np.maximum(np.minimum(stored_before, shown_before), 0)
    by_group = np.argsort(groups, kind="stable")
    numbers, firsts = np.unique(groups[by_group], return_index=True)
    stays: list[tuple[int, list[np.ndarray]]] = []
    stop = -1
    for start, packets in zip(keys[numbers], np.split(wanted[by_group], firsts[1:]), strict=True):
        if start < stop:  # the visit before passes through this key frame
            stays[-1][1].append(packets)
        else:
            stays.append((int(start), [packets]))
        stop = max(stop, int(packets[-1]) + 1)
    return [_visit(start, np.sort(np.concatenate(parts))) for start, parts in stays]


def _visit(start: int, wanted: np.ndarray) -> Visit:
    return Visit(start=start, stop=int(wanted[-1]) + 1, wanted=tuple(wanted.tolist()))
