"""Videos of other machines: the same clips, from the ranges that their index plans."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from videoproc import storage
from videoproc.media import Cost, MediaError, Sampling, Size, probe, read_clips, write_video

SIZE = Size(height=36, width=40)
SPARSE = Sampling(num_frames=3)


@pytest.fixture(scope="module")
def heavy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise, which does not compress: 4 MB in 20 groups of pictures."""
    rng = np.random.default_rng(0)
    path = tmp_path_factory.mktemp("heavy") / "v.mp4"
    frames = (rng.integers(0, 255, (120, 160, 3), dtype=np.uint8) for _ in range(200))
    write_video(path, frames, fps=25, gop_frames=10, crf=4, bframes=2)
    assert path.stat().st_size > 3 << 20
    return path


def assert_same_clips(uri: str, path: Path, cost: Cost) -> None:
    remote = list(read_clips(uri, sampling=SPARSE, size=SIZE, cost=cost))
    local = list(read_clips(path, sampling=SPARSE, size=SIZE))
    assert len(remote) == len(local) > 0
    for one, other in zip(remote, local, strict=True):
        np.testing.assert_array_equal(one.frames_thwc, other.frames_thwc)
        np.testing.assert_array_equal(one.pts_s, other.pts_s)


def test_few_frames_of_a_file_behind_a_web_server_fetch_a_part_of_it(web, heavy):
    cost = Cost()
    uri = web.put("/v.mp4", heavy.read_bytes())
    assert_same_clips(uri, heavy, cost)
    assert cost.bytes_fetched < heavy.stat().st_size / 2
    assert probe(uri) == probe(heavy)


def test_few_frames_of_an_object_fetch_a_part_of_it(bucket, heavy):
    cost = Cost()
    place = storage.at(f"{bucket}/a b #?.mp4")
    place.write_bytes(heavy.read_bytes())
    assert_same_clips(str(place), heavy, cost)
    assert cost.bytes_fetched < heavy.stat().st_size / 2


@pytest.mark.parametrize("name", ["v.mkv", "v.avi", "v.ts"])
def test_a_container_without_a_whole_index_is_fetched_once(web, tmp_path, moving_picture, name):
    path, cost = tmp_path / name, Cost()
    write_video(path, moving_picture(60), fps=25, gop_frames=10)
    assert_same_clips(web.put(f"/{name}", path.read_bytes()), path, cost)
    assert cost.bytes_fetched == path.stat().st_size


def test_a_local_file_fetches_nothing(heavy):
    cost = Cost()
    list(read_clips(heavy, sampling=SPARSE, size=SIZE, cost=cost))
    assert cost.bytes_fetched == 0


def test_a_file_that_is_not_there_is_an_error_that_names_it(web):
    with pytest.raises(MediaError, match=r"absent\.mp4"):
        probe(f"{web.address}/absent.mp4")


def test_a_file_that_changes_while_it_is_read_is_an_error(web, heavy):
    clips = read_clips(
        web.put("/v.mp4", heavy.read_bytes()), sampling=Sampling(num_frames=1, clip_s=1.0)
    )
    next(clips)
    web.tag = '"2"'
    with pytest.raises(MediaError, match="changed while it was read"):
        list(clips)
