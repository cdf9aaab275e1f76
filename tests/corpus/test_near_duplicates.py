"""Videos of nearly the same pictures on two sides of the split."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from videoproc.corpus.near_duplicates import (
    ALIKE_BITS,
    BLOCK,
    COPY_BITS,
    FRAMES,
    find,
    hash_frames,
    match,
)
from videoproc.media import write_video


def scene(seed: int, *, height: int = 96, width: int = 128, frames: int = 20) -> np.ndarray:
    """(T, H, W, 3): coarse blocks, a picture of its own for each seed, which drifts."""
    blocks = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    picture = blocks.repeat(height // 8, axis=0).repeat(width // 8, axis=1)
    return np.stack([np.roll(picture, t, axis=1) for t in range(frames)])


@pytest.fixture
def record(tmp_path, make_video):
    """record(name, frames, split, ...): encodes a video; its row of the manifest."""

    def write(name: str, frames: np.ndarray, split: str | None, group=None, **encoding):
        write_video(tmp_path / name, frames, **{"fps": 10} | encoding)
        return make_video(str(tmp_path / name), label="a", split=split, group=group)

    return write


def test_a_copy_of_another_size_rate_and_quality_is_found_on_the_other_side(record):
    frames = scene(1)
    videos = [
        record("original.mp4", frames, "train"),
        record("copy.mp4", frames[::2, ::2, ::2], "test", crf=38, fps=5),
        record("other.mp4", scene(2), "test"),
        record("another.mp4", scene(3), "val"),
    ]
    found = find(videos, workers=2)
    assert (found.compared, found.copies, found.alike) == (4, 1, 0)
    assert found.touched == {"train": 1, "val": 0, "test": 1}
    (pair,) = found.pairs
    assert [(Path(v.uri).name, v.split) for v in pair.videos] == [
        ("copy.mp4", "test"),
        ("original.mp4", "train"),
    ]
    assert pair.bits <= COPY_BITS


def test_copies_on_one_side_are_no_leak(record):
    found = find([record(f"{i}.mp4", scene(1), "train", crf=20 + i) for i in range(2)], workers=1)
    assert (found.compared, found.pairs) == (2, [])


def test_copies_of_different_groups_on_one_side_are_counted_apart(record):
    videos = [record(f"{i}.mp4", scene(1), "train", f"cam{i}", crf=20 + i) for i in range(2)]
    found = find(videos, workers=1)
    assert (found.copies, found.same_side, len(found.pairs)) == (0, 1, 1)
    assert not found.pairs[0].is_across


def test_a_black_video_is_like_no_other(record):
    black = np.zeros((20, 48, 64, 3), np.uint8)
    videos = [record(f"{i}.mp4", black, split) for i, split in enumerate(("train", "test"))]
    found = find(videos, workers=1)
    assert (found.compared, found.flat, found.pairs) == (0, 2, [])


def test_what_cannot_be_decoded_is_named_and_costs_itself_only(record, tmp_path, make_video):
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    bad = make_video(str(tmp_path / "bad.mp4"), label="a", split="test")
    found = find([record("good.mp4", scene(1), "train"), bad], workers=2)
    assert found.compared == 1
    ((uri, error),) = found.failed
    assert (uri, error.partition(":")[0]) == (bad.uri, "InvalidDataError")


def test_videos_without_a_split_or_with_an_error_are_not_opened(make_video):
    videos = [make_video("/nowhere/a.mp4"), make_video("/b.mp4", split="test", error="cut short")]
    assert find(videos, workers=1).failed == []


def test_the_hash_ignores_brightness_and_sees_a_mirror():
    grey = scene(1, height=32, width=32, frames=3).astype(np.float64)[..., 1]
    same = hash_frames(grey) ^ hash_frames(0.5 * grey + 60)
    mirrored = hash_frames(grey) ^ hash_frames(grey[:, :, ::-1])
    assert not same.any()
    assert np.bitwise_count(mirrored).min() > ALIKE_BITS


def _close(hashes: np.ndarray, i: int, j: int) -> float:
    bits = [bin(int(a) ^ int(b)).count("1") for a, b in zip(hashes[i], hashes[j], strict=True)]
    return sum(bits) / FRAMES


def test_matching_in_blocks_finds_what_a_plain_loop_over_all_pairs_finds():
    """Some random words, each with children of some flipped bits, over more than one block."""
    rng = np.random.default_rng(0)
    parents = rng.integers(0, 2**64 - 1, (30, FRAMES), np.uint64)
    hashes = parents[rng.integers(0, 30, BLOCK + 44)]
    for _ in range(5):
        flips = np.uint64(1) << rng.integers(0, 64, hashes.shape, np.uint64)
        hashes = hashes ^ flips
    sides, groups = rng.integers(0, 3, len(hashes)), rng.integers(-1, 4, len(hashes))
    found = match(hashes, sides=sides, groups=groups)
    expected = Counter()
    touched = set()
    for i, j in combinations(range(len(hashes)), 2):
        if (bits := _close(hashes, i, j)) > ALIKE_BITS:
            continue
        if sides[i] != sides[j]:
            expected["copies" if bits <= COPY_BITS else "alike"] += 1
            touched |= {i, j} if bits <= COPY_BITS else set()
        elif groups[i] != groups[j] and -1 not in (groups[i], groups[j]):
            expected["same_side"] += 1
    assert min(expected.values()) > 100
    assert {name: getattr(found, name) for name in expected} == expected
    assert set(np.flatnonzero(found.touched)) == touched
    for i, j, bits in found.nearest[:50]:
        assert bits == _close(hashes, i, j)
    order = [(sides[i] == sides[j], bits) for i, j, bits in found.nearest]
    assert order == sorted(order)


@pytest.mark.data
def test_one_cafe_under_two_sources_of_the_surveillance_fights_is_found(shared_data, make_video):
    """groups.csv names two sources for clips that one camera took within half a minute."""
    clips = {"fight/fi044.mp4": "9", "noFight/nofi022.mp4": "24", "fight/fi001.mp4": "0"}
    folder = shared_data / "surveillance_fights"
    videos = [make_video(f"{folder}/{c}", group=g, split="train") for c, g in clips.items()]
    (pair,) = find(videos, workers=2).pairs
    assert {video.group for video in pair.videos} == {"9", "24"}
