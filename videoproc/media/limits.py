"""What reading one video may cost, and what of it is taken."""

from __future__ import annotations

from dataclasses import dataclass

from videoproc.media.errors import MediaError

_GIB = 1 << 30
_MIN_MEMORY_BYTES = _GIB // 2


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one video may cost before it is given up.

    Args:
        timeout_s: seconds for one call of the decoding process.
        max_memory_bytes: bytes of address space of that process.
        max_pixels: height times width of a frame; 8K video has 33 million.
        max_frames: frames of a video; 24 hours at 60 a second are 5.2 million.
        max_duration_s: seconds from the first frame to the end of the last. A wrong time in a file
            makes it last for centuries, with millions of clips in them.
    """

    timeout_s: float = 120.0
    max_memory_bytes: int = 4 * _GIB
    max_pixels: int = 64_000_000
    max_frames: int = 6_000_000
    max_duration_s: float = 7 * 86_400.0

    def __post_init__(self) -> None:
        for name in ("timeout_s", "max_duration_s"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}: give seconds above 0")
        if self.max_memory_bytes < _MIN_MEMORY_BYTES:
            raise ValueError(
                f"max_memory_bytes is {self.max_memory_bytes}: give {_MIN_MEMORY_BYTES} or more, "
                "a decoder and its libraries take up nearly that"
            )
        for name in ("max_pixels", "max_frames"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}: give 1 or more")

    def check_pixels(self, pixels: int) -> None:
        """Raises MediaError "TooLarge"."""
        if pixels > self.max_pixels:
            raise MediaError(
                "TooLarge", f"a frame has {pixels} pixels, limits.max_pixels is {self.max_pixels}"
            )

    def check_frames(self, num_frames: int) -> None:
        """Raises MediaError "TooLarge"."""
        if num_frames > self.max_frames:
            raise MediaError(
                "TooLarge", f"it has more frames than limits.max_frames, {self.max_frames}"
            )

    def check_duration(self, duration_s: float) -> None:
        """Raises MediaError "TooLarge"."""
        if not duration_s <= self.max_duration_s:
            raise MediaError(
                "TooLarge",
                f"it lasts {duration_s:g} s, limits.max_duration_s is {self.max_duration_s:g}",
            )


@dataclass(frozen=True, kw_only=True)
class Accept:
    """Material that not every corpus wants: taken as it is where true, refused where false.

    Args:
        hdr: high dynamic range (PQ, HLG); its colours come out flat, since nothing maps them.
        interlaced: two fields a frame; moving edges come out as combs.
        truncated: files that end before they should; the clips that are whole are taken.
    """

    hdr: bool = True
    interlaced: bool = True
    truncated: bool = False
