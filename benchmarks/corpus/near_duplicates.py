"""How far apart the perceptual hash puts copies of real clips, and different scenes.

    python -m benchmarks.corpus.near_duplicates --source FIGHTS/groups.csv --group source_id

Every tenth clip is encoded anew in several ways and compared with itself; all clips of different
groups are compared with each other. Then random hashes of 30,000 videos are matched, for the time.
The result is benchmarks/results/near_duplicates.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image

from videoproc import storage
from videoproc.corpus import near_duplicates
from videoproc.corpus.layouts import LAYOUTS
from videoproc.corpus.splits import group_of
from videoproc.media import write_video

RESULT = Path(__file__).parents[1] / "results" / "near_duplicates.json"
EVERY = 10
MANY = 30_000

Frames = list[np.ndarray]


def scaled(frames: Frames, factor: float) -> Frames:
    height, width = (round(side * factor) for side in frames[0].shape[:2])
    return [np.asarray(Image.fromarray(frame).resize((width, height))) for frame in frames]


def cropped(frames: Frames, share: float) -> Frames:
    y, x = (round(side * share) for side in frames[0].shape[:2])
    return [np.ascontiguousarray(frame[y:-y, x:-x]) for frame in frames]


def brighter(frames: Frames) -> Frames:
    return [np.clip(frame * 1.2 + 15, 0, 255).astype(np.uint8) for frame in frames]


def with_logo(frames: Frames) -> Frames:
    height, width = frames[0].shape[:2]
    marked = [frame.copy() for frame in frames]
    for frame in marked:
        frame[: height // 8, : width // 5] = 255
    return marked


COPIES: dict[str, tuple[Callable[[Frames], Frames], int]] = {
    "half size, crf 35": (lambda frames: scaled(frames, 0.5), 35),
    "quarter size, crf 40": (lambda frames: scaled(frames, 0.25), 40),
    "every other frame": (lambda frames: frames[::2], 28),
    "brighter": (brighter, 23),
    "first tenth cut off": (lambda frames: frames[len(frames) // 10 :], 23),
    "first quarter cut off": (lambda frames: frames[len(frames) // 4 :], 23),
    "logo in a corner": (with_logo, 23),
    "5 % cropped at each edge": (lambda frames: cropped(frames, 0.05), 23),
    "mirrored": (lambda frames: [np.ascontiguousarray(frame[:, ::-1]) for frame in frames], 23),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", required=True, help="a CSV of videos")
    parser.add_argument("--group", required=True, help="its column of groups")
    arguments = parser.parse_args()
    entries = LAYOUTS["csv"](storage.at(arguments.source).absolute())
    started = time.monotonic()
    hashes = np.array([near_duplicates.hash_video(entry.uri) for entry in entries], np.uint64)
    hashing_s = time.monotonic() - started
    groups = np.array([group_of(entry, arguments.group) for entry in entries])
    i, j = np.triu_indices(len(entries), 1)
    apart = groups[i] != groups[j]
    result = {
        "videos": len(entries),
        "copies": {
            name: spread([bits(hashes[k], encoded(entries[k].uri, name)) for k in chosen])
            for name in COPIES
            for chosen in [range(0, len(entries), EVERY)]
        },
        "of one group": spread(bits(hashes[i[~apart]], hashes[j[~apart]])),
        "of different groups": spread(bits(hashes[i[apart]], hashes[j[apart]])),
        "hashing_videos_per_s_one_core": round(len(entries) / hashing_s, 1),
        "matching": {"videos": MANY} | matching(MANY),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, shared",
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(RESULT.read_text())


def bits(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.bitwise_count(one ^ other).mean(axis=-1)


def spread(distances: Sequence[float] | np.ndarray) -> dict[str, float]:
    low, median, p90, high = np.percentile(distances, [0, 50, 90, 100]).round(1)
    return {"pairs": len(distances), "min": low, "median": median, "p90": p90, "max": high}


def encoded(uri: str, name: str) -> np.ndarray:
    """The hash of a copy."""
    change, crf = COPIES[name]
    with av.open(uri) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.mp4"
        write_video(copy, change(frames), fps=12, crf=crf)
        return np.array(near_duplicates.hash_video(str(copy)), np.uint64)


def matching(num_videos: int) -> dict[str, float]:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64 - 1, (num_videos, near_duplicates.FRAMES), np.uint64)
    sides = rng.choice(3, num_videos, p=[0.7, 0.15, 0.15])
    started = time.monotonic()
    near_duplicates.match(hashes, sides=sides, groups=np.full(num_videos, -1))
    elapsed_s = time.monotonic() - started
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return {"elapsed_s": round(elapsed_s, 1), "peak_mb_of_process": round(peak_mb)}


if __name__ == "__main__":
    main()
