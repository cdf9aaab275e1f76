"""Times of frames whose packets do not tell: what their decoder says, made to ascend."""

from __future__ import annotations

import av

Stamp = int | None


class Clock:
    """The time of each frame, in the order in which the decoder delivers them.

    Of a frame's own time and its packet's, the one is taken that has gone backwards less often so
    far, as FFmpeg's `best_effort_timestamp` does. A frame whose time is missing, or not after the
    one before, follows it after the duration of a frame.

    stores_pts: False for AVI, which has no times of presentation: those that FFmpeg makes up for
    it are wrong where frames are reordered. step: ticks from frame to frame where nothing is said.
    """

    def __init__(self, *, stores_pts: bool, step: int) -> None:
        self._stores_pts = stores_pts
        self._step = step
        self._pts, self._dts = _Course(), _Course()
        self._now: int | None = None

    def tell(self, frame: av.VideoFrame) -> int:
        """The frame's time in ticks, later than any told before."""
        stamp = self._best(frame.pts if self._stores_pts else None, frame.dts)
        if self._now is None:
            self._now = stamp or 0
        elif stamp is not None and stamp > self._now:
            self._now = stamp
        else:
            self._now += frame.duration or self._step
        return self._now

    def _best(self, pts: Stamp, dts: Stamp) -> Stamp:
        self._dts.take(dts, instead=pts)
        self._pts.take(pts, instead=dts)
        is_pts_better = self._pts.num_faults <= self._dts.num_faults or dts is None
        return pts if is_pts_better and pts is not None else dts


class _Course:
    """How often one kind of stamp did not go on."""

    def __init__(self) -> None:
        self.num_faults = 0
        self._last: Stamp = None

    def take(self, stamp: Stamp, *, instead: Stamp) -> None:
        if stamp is not None and self._last is not None and stamp <= self._last:
            self.num_faults += 1
        self._last = stamp if stamp is not None else instead if instead is not None else self._last
