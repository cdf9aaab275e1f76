"""Where a job's time went, in plain words."""

from __future__ import annotations

from collections.abc import Mapping


def where_time_went(seconds: Mapping[str, float]) -> str:
    """The worker seconds of each step, largest first: `decode 12.1 s (80%), write 3.0 s (20%)`."""
    total = sum(seconds.values())
    if not total:
        return "no work was done"
    largest_first = sorted(seconds.items(), key=lambda item: -item[1])
    return ", ".join(f"{step} {s:.1f} s ({s / total:.0%})" for step, s in largest_first)
