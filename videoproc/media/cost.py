"""What reading a video has cost."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(kw_only=True)
class Cost:
    """Counted up by what it is given to.

    packets_decoded: packets that went into the decoder, those of skipped frames among them.
    frames_decoded: frames that came out. bytes_fetched: of remote files, when they are closed.
    """

    packets_decoded: int = 0
    frames_decoded: int = 0
    bytes_fetched: int = 0
