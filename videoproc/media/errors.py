"""The one error of a file that cannot be read."""

from __future__ import annotations

import av


class MediaError(Exception):
    """A video that cannot be read: what kind of failure, and FFmpeg's own words.

    `error_class` groups failures in the quarantine table: the name of FFmpeg's error, such as
    "InvalidDataError", or one of ours: "NoVideoStream", "MissingFrames", "Timeout", "Crash",
    "OutOfMemory".
    """

    def __init__(self, error_class: str, message: str) -> None:
        super().__init__(error_class, message)
        self.error_class = error_class
        self.message = message

    def __str__(self) -> str:
        return f"{self.error_class}: {self.message}"


def from_ffmpeg(error: av.FFmpegError) -> MediaError:
    """FFmpeg's error in our class, under its own name and in its own words."""
    words = str(error).removeprefix(f"[Errno {error.errno}] ")
    name = "OutOfMemory" if isinstance(error, MemoryError) else type(error).__name__
    return MediaError(name, words)
