"""Progress in lines that read well on a terminal and in a job's plain log."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from videoproc.masking import masked

LOG_EVERY_S = 5.0  # a log line is kept for ever: few of them
TERMINAL_EVERY_S = 0.2
MIN_S = 1.0  # a rate over less is a guess


def say(job: str, text: str) -> None:
    """One line of a job, without secrets."""
    print(f"{job:<10} {masked(text)}", flush=True)


@dataclass(kw_only=True)
class Progress:
    """Counts `done` of `total` and prints rate and remaining time: over the last line on a
    terminal, as a new line every few seconds elsewhere."""

    job: str
    unit: str
    total: int
    done: int = 0
    _first: tuple[float, int] | None = None
    _printed: float = field(default_factory=time.monotonic)

    def advance_to(self, done: int) -> None:
        now = time.monotonic()
        if self._first is None:  # from here on: what starting took says nothing of the rate
            self._first = (now, done)
        self.done = done
        terminal = sys.stdout.isatty()
        if now - self._printed < (TERMINAL_EVERY_S if terminal else LOG_EVERY_S):
            return
        self._printed = now
        since_s, before = now - self._first[0], self._first[1]
        rate = (done - before) / since_s if since_s > MIN_S else 0.0
        said = f", {rate:.1f}/s, {(self.total - done) / rate:.0f} s left" if rate else ""
        share = f"{done / max(1, self.total):.0%}"
        line = f"{self.job:<10} {done}/{self.total} {self.unit} ({share}){said}"
        print(f"\r{line:<100}" if terminal else line, end="" if terminal else "\n", flush=True)

    def close(self) -> None:
        """Clear a terminal's line, so that the job's summary begins a fresh one."""
        if sys.stdout.isatty():
            print(f"\r{'':<100}\r", end="", flush=True)
