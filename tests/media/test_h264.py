"""Units of H.264 packets, in both ways to store them."""

from __future__ import annotations

import itertools

import av
import pytest

from videoproc.media import write_video
from videoproc.media.h264 import IDR, nal_types


@pytest.mark.parametrize("name", ["v.mp4", "v.mkv", "v.ts", "v.h264"])
def test_the_first_of_a_group_alone_holds_a_frame_that_refers_to_none(
    tmp_path, moving_picture, name
):
    write_video(tmp_path / name, moving_picture(24), fps=25, gop_frames=8)
    with av.open(str(tmp_path / name)) as container:
        stream = container.streams.video[0]
        extradata = stream.codec_context.extradata or b""
        packets = [bytes(packet) for packet in itertools.islice(container.demux(stream), 24)]
    holds = [IDR in nal_types(packet, extradata=extradata) for packet in packets]
    assert [i for i, is_idr in enumerate(holds) if is_idr] == [0, 8, 16]


@pytest.mark.parametrize("packet", [b"", b"\0", b"\0\0\0\xff\x65", b"\0\0\1"])
def test_a_packet_that_is_cut_is_no_error(packet):
    assert nal_types(packet, extradata=b"\1\0\0\0\xff") <= {5}
    assert nal_types(packet, extradata=b"") == set()
