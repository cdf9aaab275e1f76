"""Numbers as people say them."""

from __future__ import annotations


def duration(seconds: float) -> str:
    """`45 s`, `12 min`, `3.4 h`: seconds for people."""
    if seconds < 90:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def data_size(num_bytes: int) -> str:
    """`12 kB`, `3.4 MB`, `56 GB`: in powers of ten, as networks count."""
    size, units = float(num_bytes), ["B", "kB", "MB", "GB", "TB"]
    while size >= 999.5 and len(units) > 1:
        size /= 1000
        units.pop(0)
    unit = units[0]
    return f"{size:.1f} {unit}" if size < 10 and unit != "B" else f"{size:.0f} {unit}"


def number(value: float) -> str:
    """A metric: a whole number as it is, others with four digits."""
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.4g}"


def plural(count: int, noun: str) -> str:
    """`1 video`, `3 videos`, `12,000 videos`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
