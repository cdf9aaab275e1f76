"""What each feature costs a clip of 16 frames at 112x112 on one core, beside decoding the clip.

    OMP_NUM_THREADS=1 python -m benchmarks.features.cost --data DATA

DATA holds surveillance_fights/. Decoding and all features take turns, round by round in one
process, over the same clips, and the CPU time of the process is counted: what is to be read is the
ratio within a round, its median, lowest and highest. What OpenCV and scikit-image add to a process
that has the rest is measured in processes of their own. The result is
benchmarks/results/feature_cost.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

from videoproc.features import FEATURES
from videoproc.media import Sampling, Size, read_clips
from videoproc.types import Clip
from videoproc.version import code_version

RESULT = Path(__file__).parents[1] / "results" / "feature_cost.json"
FIGHTS = "surveillance_fights/*/*.mp4"
SAMPLING, SIZE = Sampling(num_frames=16), Size()
DECODE = "decode"
IMPORTS = {
    "OpenCV": "import cv2",
    "scikit-image, co-occurrence and local binary patterns": "from skimage.feature import "
    "graycomatrix, graycoprops, local_binary_pattern",
    "scikit-image, HOG": "from skimage.feature import hog",
}


def read(path: Path) -> Clip:
    return next(iter(read_clips(path, sampling=SAMPLING, size=SIZE)))


def cpu_s_of_a_round(paths: list[Path], clips: list[Clip]) -> dict[str, float]:
    taken = {}
    began = time.process_time()
    for path in paths:
        read(path)
    taken[DECODE] = time.process_time() - began
    for name, feature in FEATURES.items():
        began = time.process_time()
        for clip in clips:
            feature.compute(clip.frames_thwc, clip.pts_s)
        taken[name] = time.process_time() - began
    return taken


def import_cost(statement: str) -> dict[str, float]:
    """CPU seconds and MB that an import adds to a process that has the rest of a worker's."""
    code = (
        "import json, psutil, time; import videoproc.features, videoproc.media, videoproc.tables\n"
        "mb = lambda: psutil.Process().memory_info().rss / 1e6\n"
        f"before, began = mb(), time.process_time(); {statement}\n"
        "print(json.dumps({'s': time.process_time() - began, 'mb': mb() - before}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name: round(value, 2) for name, value in json.loads(done.stdout).items()}


def summary(ratios: list[float]) -> dict[str, float]:
    return {
        "median": round(median(ratios), 4),
        "lowest": round(min(ratios), 4),
        "highest": round(max(ratios), 4),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    paths = random.Random(0).sample(sorted(args.data.glob(FIGHTS)), args.clips)
    clips = [read(path) for path in paths]
    rounds = [cpu_s_of_a_round(paths, clips) for _ in range(args.rounds + 1)][1:]  # one to warm up
    sums = [sum(taken.values()) - taken[DECODE] for taken in rounds]
    features: dict[str, Any] = {
        name: {
            "length": feature.length,
            "cpu_ms_a_clip": round(median(taken[name] for taken in rounds) / len(clips) * 1e3, 2),
            "of_decoding": summary([taken[name] / taken[DECODE] for taken in rounds]),
        }
        for name, feature in FEATURES.items()
    }
    record = {
        "record": "feature_cost",
        "command": "OMP_NUM_THREADS=1 python -m benchmarks.features.cost --data DATA",
        "clips": {"files": FIGHTS, "drawn": args.clips, "frames": 16, "height": 112, "width": 112},
        "rounds": args.rounds,
        "machine": {"cores": os.cpu_count(), "machine": platform.machine()},
        "versions": {
            name: version(name) for name in ("av", "opencv-python-headless", "scikit-image")
        },
        "code_version": code_version(),
        "imports": {name: import_cost(statement) for name, statement in IMPORTS.items()},
        "decode_cpu_ms_a_clip": round(
            median(taken[DECODE] for taken in rounds) / len(clips) * 1e3, 2
        ),
        "features": features,
        "all_of_decoding": summary(
            [all_s / taken[DECODE] for all_s, taken in zip(sums, rounds, strict=True)]
        ),
    }
    RESULT.write_text(json.dumps(record, indent=1) + "\n")
    print(RESULT.read_text())


if __name__ == "__main__":
    main()
