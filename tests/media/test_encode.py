"""Files that other rooms' tests and the synthetic corpus are made of."""

from __future__ import annotations

import av
import numpy as np
import pytest

from videoproc.media import write_video


def test_odd_sides_lose_their_last_row_or_column(tmp_path):
    write_video(tmp_path / "v.mp4", [np.zeros((33, 51, 3), dtype=np.uint8)] * 2, fps=25)
    with av.open(str(tmp_path / "v.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.height, stream.width) == (32, 50)


def test_colours_survive(tmp_path):
    colour = np.array([200, 60, 30], dtype=np.uint8)
    write_video(tmp_path / "v.mp4", [np.tile(colour, (32, 32, 1))] * 3, fps=25, crf=10)
    with av.open(str(tmp_path / "v.mp4")) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    assert np.abs(frame.reshape(-1, 3).mean(axis=0) - colour).max() < 4


def test_a_long_video_needs_no_big_array(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(500), fps=30)
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert container.streams.video[0].frames == 500


def test_the_index_comes_first(tmp_path, moving_picture):
    write_video(tmp_path / "v.mp4", moving_picture(5), fps=25)
    data = (tmp_path / "v.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_the_same_frames_give_the_same_bytes(tmp_path, moving_picture):
    for name in ("a.mp4", "b.mp4"):
        write_video(tmp_path / name, moving_picture(20), fps=25)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_no_frames_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no frames to write"):
        write_video(tmp_path / "v.mp4", [], fps=25)
