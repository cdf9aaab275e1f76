"""What a synthetic corpus is made of, and where each of its files comes from."""

from __future__ import annotations

from dataclasses import dataclass

from videoproc.corpus.synthetic.actions import LABELS


@dataclass(frozen=True, kw_only=True)
class SyntheticConfig:
    """A corpus of `videos` short videos from `num_sources` cameras, classes balanced over both.

    height, width: pixels of the first camera; the others vary upwards from it, by a quarter at
    most. fps: frames a second; every third camera runs a quarter faster.
    """

    videos: int = 240
    seed: int = 0
    num_sources: int = 12
    height: int = 96
    width: int = 128
    fps: float = 12.0
    duration_s: float = 2.0

    def __post_init__(self) -> None:
        if self.num_sources < 1:
            raise ValueError(f"num_sources is {self.num_sources}; it must be at least 1")
        if self.videos < len(LABELS) * self.num_sources:
            raise ValueError(
                f"videos is {self.videos}, too few for {self.num_sources} sources to show all "
                f"{len(LABELS)} classes each: ask for {len(LABELS) * self.num_sources} or more, or "
                f"for fewer sources (num_sources), at {len(LABELS)} videos each"
            )
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be 0 or more")
        for name, side in (("height", self.height), ("width", self.width)):
            if side < 48 or side % 2:
                raise ValueError(f"{name} is {side}; it must be an even number, 48 or more")
        if not 1.0 <= self.fps <= 120.0:
            raise ValueError(f"fps is {self.fps}; it must be from 1 to 120")
        if self.duration_s * self.fps < 8.0:
            raise ValueError(
                f"duration_s is {self.duration_s}; at {self.fps} frames a second an action of "
                f"fewer than 8 frames cannot be told: take {8.0 / self.fps:.2f} or more"
            )


@dataclass(frozen=True, kw_only=True)
class Item:
    """One short video of the corpus. `stem` is unique, so that truth needs no class folders."""

    index: int
    label: str
    source_index: int

    @property
    def source(self) -> str:
        return source_name(self.source_index)

    @property
    def stem(self) -> str:
        return f"{self.source}_{self.index:03d}"

    @property
    def file(self) -> str:
        return f"videos/{self.label}/{self.stem}.mp4"


def source_name(source_index: int) -> str:
    """The name of a camera, as it stands in file names and in the CSV."""
    return f"cam{source_index:02d}"


def list_items(config: SyntheticConfig) -> list[Item]:
    """The short videos: first every class of the first camera, then of the next, round and round.

    Whatever their number, two classes differ by one video at most, and so do two cameras' shares
    of a class.
    """
    classes = len(LABELS)
    return [
        Item(
            index=i,
            label=LABELS[i % classes],
            source_index=i // classes % config.num_sources,
        )
        for i in range(config.videos)
    ]
