"""Where in a cluster a stage runs: a value that configs hold, readable without importing Ray."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Which nodes of a cluster a stage may use, and what each of its processes takes there.

    Args:
        labels: labels that a node must have, such as {videoproc/role: decode}; by default any node
            will do. `ray start --labels` gives them to a node.
        resources: custom resources of Ray that each process takes, such as {decode: 1}.
        memory_bytes: memory that each process is counted with; a node takes no more processes than
            it has memory for. By default what the stage is known to need.
    """

    labels: dict[str, str] = field(default_factory=dict)
    resources: dict[str, float] = field(default_factory=dict)
    memory_bytes: int | None = None

    def __post_init__(self) -> None:
        for name, amount in self.resources.items():
            if name in ("CPU", "GPU", "memory"):
                raise ValueError(f"placement.resources has {name!r}: name custom resources only")
            if amount <= 0:
                raise ValueError(f"placement.resources.{name} is {amount}: use a number above 0")
        if self.memory_bytes is not None and self.memory_bytes < 1:
            raise ValueError(f"placement.memory_bytes is {self.memory_bytes}: use 1 or more")

    def admits(self, labels: Mapping[str, str]) -> bool:
        """Whether a node with these labels may be used; Ray's own operators (in, !) are not read
        here, so a selector with one admits every node."""
        return all(
            labels.get(key) == wanted or wanted.startswith(("in(", "!"))
            for key, wanted in self.labels.items()
        )
