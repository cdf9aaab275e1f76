"""Videos on different sides of a split, or in different groups, that show nearly the same pictures.

Files of the same bytes are one video already. Copies that were encoded, scaled or cut anew, and
clips of one scene under two names, are found by a perceptual hash of a few frames.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from videoproc import storage
from videoproc.corpus.layouts import SPLITS
from videoproc.masking import masked, masked_uri
from videoproc.media import Limits, MediaError, Sampling, Size, read_clips
from videoproc.media.isolate import Isolated
from videoproc.roots import Roots
from videoproc.types import Video

FRAMES = 5  # spread evenly over the video
SIDE = 32  # pixels; the hash keeps 8 x 8 frequencies of them
HASH_BITS = 64

COPY_BITS = 8.0
"""Up to here a pair counts as nearly the same: mean bits that differ, over the frames. Real clips
at a quarter of the size, half the rate or brighter differed in 6.8 at most, those of other sources
in 13.2 or more (benchmarks/results/near_duplicates.json)."""
ALIKE_BITS = 15.0
"""Up to here a pair is named as alike: one scene at two times, a cropped copy, or mere chance."""

MIN_CONTRAST = 4.0  # grey levels, standard deviation; below it a hash is one of noise
KEPT_PAIRS = 1000
BLOCK = 256  # videos compared with all others at once: about 60 MB at 30,000 videos


@dataclass(frozen=True, kw_only=True)
class Found:
    """One video of a pair."""

    uri: str
    split: str
    group: str | None


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two videos, and how many of 64 bits differ on average over the frames."""

    videos: tuple[Found, Found]
    bits: float

    @property
    def is_across(self) -> bool:
        """Whether they stand on different sides of the split."""
        return self.videos[0].split != self.videos[1].split


@dataclass(frozen=True, kw_only=True)
class NearDuplicates:
    """compared: videos. flat: videos left out, since most of their frames show nothing.
    failed: (uri, error) of those that cannot be decoded. copies, alike: pairs on different sides
    within COPY_BITS, and from there to ALIKE_BITS. same_side: pairs within ALIKE_BITS of different
    groups on one side, which another deal would tear. touched: videos of each split that are in
    `copies`. pairs: the nearest of all kinds, at most KEPT_PAIRS: first those across the split.
    """

    compared: int
    flat: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    copies: int = 0
    alike: int = 0
    same_side: int = 0
    touched: dict[str, int] = field(default_factory=dict)
    pairs: list[Pair] = field(default_factory=list)
    copy_bits: float = COPY_BITS
    alike_bits: float = ALIKE_BITS


def find(
    videos: Sequence[Video],
    *,
    workers: int,
    roots: Roots | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> NearDuplicates:
    """Decode a few frames of every readable video that has a split, in `workers` child processes,
    and compare every video with those of the other splits and of the other groups.

    All pairs are compared, without an index: 5 words of 64 bits each cost less than a bucket that
    holds every clip of one dark camera. 30,000 videos take seconds, beside minutes of decoding.
    on_progress: called with the videos decoded and the number to decode.
    """
    wanted = sorted(
        (video for video in videos if video.error is None and video.split is not None),
        key=lambda video: video.uri,
    )
    kept, hashes, failed, flat = [], [], [], 0
    for done, (video, found) in enumerate(_hash_all(wanted, workers=workers, roots=roots), start=1):
        if isinstance(found, MediaError):
            failed.append((masked_uri(video.uri), masked(str(found))))
        elif found is None:
            flat += 1
        else:
            kept.append(video)
            hashes.append(found)
        if on_progress is not None:
            on_progress(done, len(wanted))
    matches = match(
        np.array(hashes, np.uint64).reshape(-1, FRAMES),
        sides=np.array([SPLITS.index(str(video.split)) for video in kept], np.int64),
        groups=_numbered([video.group for video in kept]),
    )
    return NearDuplicates(
        compared=len(kept),
        flat=flat,
        failed=failed,
        copies=matches.copies,
        alike=matches.alike,
        same_side=matches.same_side,
        touched=_count_by_split(kept, matches.touched),
        pairs=[
            Pair(videos=(_found(kept[i]), _found(kept[j])), bits=bits)
            for i, j, bits in matches.nearest
        ],
    )


@dataclass(kw_only=True)
class Matches:
    """copies, alike, same_side: pairs, as in NearDuplicates. touched: (V,) bool.
    nearest: (i, j, bits)."""

    touched: np.ndarray
    copies: int = 0
    alike: int = 0
    same_side: int = 0
    nearest: list[tuple[int, int, float]] = field(default_factory=list)


def match(hashes: np.ndarray, *, sides: np.ndarray, groups: np.ndarray) -> Matches:
    """The pairs of videos on different sides, or of different groups, that are alike.

    hashes: (V, FRAMES) uint64, a word a frame. sides, groups: (V,) int; -1 is no group.
    """
    matches = Matches(touched=np.zeros(len(sides), bool))
    kept = np.empty((0, 4), np.int64)  # on one side, sum of bits, i, j
    for start in range(0, len(sides), BLOCK):
        stop = min(start + BLOCK, len(sides))
        bits = np.zeros((stop - start, len(sides) - start), np.uint16)
        for frame in range(FRAMES):
            bits += np.bitwise_count(hashes[start:stop, frame, None] ^ hashes[start:, frame])
        i, j = np.nonzero(bits <= ALIKE_BITS * FRAMES)
        found = np.stack([np.zeros_like(i), bits[i, j], i + start, j + start], axis=1)
        found = _only_apart(found[i < j], sides, groups)
        _count(matches, found)
        kept = np.concatenate([kept, found])
        kept = kept[np.lexsort(kept.T[::-1])[:KEPT_PAIRS]]
    matches.nearest = [(int(i), int(j), float(bits) / FRAMES) for _, bits, i, j in kept]
    return matches


def _only_apart(found: np.ndarray, sides: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The pairs on different sides or in different groups; their first column says which."""
    i, j = found[:, 2], found[:, 3]
    found[:, 0] = sides[i] == sides[j]
    other_group = (groups[i] != groups[j]) & (groups[i] >= 0) & (groups[j] >= 0)
    return found[(found[:, 0] == 0) | other_group]


def _count(matches: Matches, found: np.ndarray) -> None:
    across = found[found[:, 0] == 0]
    copies = across[across[:, 1] <= COPY_BITS * FRAMES]
    matches.touched[copies[:, 2:].ravel()] = True
    matches.copies += len(copies)
    matches.alike += len(across) - len(copies)
    matches.same_side += len(found) - len(across)


def _numbered(names: Sequence[str | None]) -> np.ndarray:
    """(V,) int, equal for equal names; -1 for None."""
    numbers: dict[str, int] = {}
    return np.array(
        [-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], np.int64
    )


def _count_by_split(videos: Sequence[Video], chosen: np.ndarray) -> dict[str, int]:
    counts = Counter(video.split for video, is_in in zip(videos, chosen, strict=True) if is_in)
    return {split: counts[split] for split in SPLITS}


def _found(video: Video) -> Found:
    return Found(uri=masked_uri(video.uri), split=str(video.split), group=video.group)


def _hash_all(
    videos: Sequence[Video], *, workers: int, roots: Roots | None
) -> Iterator[tuple[Video, list[int] | MediaError | None]]:
    if not videos:
        return
    with Isolated(max_workers=min(workers, len(videos))) as children:
        uris = [video.uri for video in videos]
        # Waiting for a store that is away is no fault of a file.
        limits = Limits(timeout_s=Limits.timeout_s + storage.most_waiting_s(uris))
        found = children.map(partial(hash_video, roots=roots), uris, limits=limits)
        yield from ((video, hashes) for video, (_, hashes) in zip(videos, found, strict=True))


# What runs in the child


def hash_video(uri: str, *, roots: Roots | None = None) -> list[int] | None:
    """A word of 64 bits for each of FRAMES frames; None where most of them show nothing.

    Raises MediaError.
    """
    sampling, size = Sampling(num_frames=FRAMES), Size(height=SIDE, width=SIDE)
    try:
        place = roots.find(uri) if roots else uri
        (clip,) = read_clips(place, sampling=sampling, size=size)
    except OSError as error:  # an object store's own
        raise MediaError(type(error).__name__, str(error)) from error
    grey_thw = clip.frames_thwc @ np.array([0.299, 0.587, 0.114])
    if np.median(grey_thw.std(axis=(1, 2))) < MIN_CONTRAST:
        return None
    words: list[int] = hash_frames(grey_thw).tolist()
    return words


def hash_frames(grey_thw: np.ndarray) -> np.ndarray:
    """(T,) uint64: the signs of 8 x 8 low frequencies of each frame about their median.

    pHash (Zauner 2010): neither the mean nor what is constant along a side is looked at.
    """
    frequencies, places = np.arange(1, 9)[:, None], np.arange(SIDE)[None, :]
    cosines = np.cos(np.pi * (2 * places + 1) * frequencies / (2 * SIDE))
    waves = (cosines @ grey_thw @ cosines.T).reshape(len(grey_thw), HASH_BITS)
    is_above = waves > np.median(waves, axis=1, keepdims=True)
    return np.packbits(is_above, axis=1).view(np.uint64)[:, 0]
