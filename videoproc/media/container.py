"""How long a file says it is, for containers that say so: FFmpeg does not tell."""

from __future__ import annotations

from collections.abc import Callable

HEAD_BYTES = 4096
"""Enough of a file's beginning to find what it says of its length."""
TS_PACKET_BYTES = 188

_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"


def cut_short(bytes_at: Callable[[int, int], bytes], *, size_bytes: int) -> str | None:
    """What says that a file ends too early; None where nothing does.

    bytes_at: gives so many bytes (second) from a place on (first).
    """
    head = bytes_at(0, HEAD_BYTES)
    promised = promised_bytes(head)
    if promised is not None and size_bytes < promised:
        return f"the file promises {promised} bytes, {size_bytes} are there"
    if head[:1] == b"G" == head[TS_PACKET_BYTES : TS_PACKET_BYTES + 1] and (
        rest := size_bytes % TS_PACKET_BYTES
    ):
        return f"the last packet of the transport stream has {rest} of {TS_PACKET_BYTES} bytes"
    if head[:4] == b"GIF8" and bytes_at(max(0, size_bytes - 16), 16).rstrip(b"\0")[-1:] != b";":
        return "the GIF has no end"
    return None


def promised_bytes(head: bytes) -> int | None:
    """The length in bytes that a file's beginning promises; None where it says nothing.

    AVI: the length of the RIFF chunk. Matroska and WebM: that of the Segment (RFC 8794, RFC 9559).
    """
    if head[:4] == b"RIFF" and len(head) >= 8:
        # Files that were written as a stream, or went over 4 GB, say 0 or as much as there is.
        length = int.from_bytes(head[4:8], "little")
        return length + 8 if 0 < length < 0xFFFF_FF00 else None
    if head[:4] == _EBML:
        return _end_of_segment(head)
    return None


def _end_of_segment(head: bytes) -> int | None:
    after_header = _element_end(head, len(_EBML))
    if after_header is None or head[after_header : after_header + 4] != _SEGMENT:
        return None
    return _element_end(head, after_header + len(_SEGMENT))


def _element_end(head: bytes, at: int) -> int | None:
    """Where an element ends whose length is coded at `at`; None where it is unknown or cut off.

    The number of leading zero bits says in how many more bytes the length is written; all ones
    mean that it is unknown.
    """
    if at >= len(head) or head[at] == 0:
        return None
    num_bytes = 9 - head[at].bit_length()
    coded = head[at : at + num_bytes]
    mask = (1 << 7 * num_bytes) - 1
    length = int.from_bytes(coded, "big") & mask
    if len(coded) < num_bytes or length == mask:
        return None
    return at + num_bytes + length
