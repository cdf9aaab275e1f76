"""What a layout knows of a video before anything has read it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One listed file. uri: absolute path. columns: what else a list says of it, by column."""

    uri: str
    label: str | None = None
    columns: dict[str, str] = field(default_factory=dict)
