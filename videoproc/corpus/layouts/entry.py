"""What a layout knows of a video before anything has read it."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One listed file. uri: absolute path, or a place in an object store. labels: sorted.
    columns: what else a list says of it, by column."""

    uri: str
    labels: tuple[str, ...] = ()
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str | None:
        """The only label; None where there is none, or more than one."""
        return self.labels[0] if len(self.labels) == 1 else None
