"""What a layout knows of a video before anything has read it."""

from __future__ import annotations

from dataclasses import dataclass, field

SPLITS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One listed file. uri: absolute path, or a place in an object store. labels: sorted.

    split: the side that the corpus gives it, one of SPLITS; None where it gives none. group: what
    it must stay together with, where the layout itself knows. columns: what else a list says of
    it, by column.
    """

    uri: str
    labels: tuple[str, ...] = ()
    split: str | None = None
    group: str | None = None
    columns: dict[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str | None:
        """The only label; None where there is none, or more than one."""
        return self.labels[0] if len(self.labels) == 1 else None
