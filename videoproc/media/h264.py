"""What a packet of H.264 consists of."""

from __future__ import annotations

import re
from collections.abc import Iterator

IDR = 5
"""The type of slices of a frame before which nothing is needed (ITU-T H.264, table 7-1)."""


def nal_types(packet: bytes, *, extradata: bytes) -> set[int]:
    """The types of a packet's units.

    In MP4 and Matroska the decoder's configuration (ISO/IEC 14496-15, 5.3.3.1) begins with 1, and
    each unit with its length; elsewhere start codes stand before them (ITU-T H.264, annex B).
    """
    if len(extradata) > 4 and extradata[0] == 1:
        return {packet[at] & 31 for at in _after_lengths(packet, (extradata[4] & 3) + 1)}
    return {packet[found.end() - 1] & 31 for found in re.finditer(b"\0\0\1.", packet, re.DOTALL)}


def _after_lengths(packet: bytes, length_bytes: int) -> Iterator[int]:
    at = 0
    while at + length_bytes < len(packet):
        length = int.from_bytes(packet[at : at + length_bytes], "big")
        yield at + length_bytes
        at += length_bytes + length
