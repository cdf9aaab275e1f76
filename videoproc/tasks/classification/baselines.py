"""What must be beaten: the most frequent class, and a forest on headers. Neither sees a pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from videoproc.tasks.task import Baseline, Spec
from videoproc.types import Video

TREES = 300


def majority(
    train: Sequence[Video], measured: Sequence[Video], spec: Spec, seed: int
) -> np.ndarray:
    """The class shares of the samples that are learned from: always the most frequent is told, of
    equals the first."""
    del seed  # there is nothing to draw
    shares = np.array([sum(v.label == label for v in train) for label in spec["classes"]], float)
    return np.tile(shares / shares.sum(), (len(measured), 1))


def header_only(
    train: Sequence[Video], measured: Sequence[Video], spec: Spec, seed: int
) -> np.ndarray:
    """A random forest on the files' headers: size, codec, resolution, rate, frames and duration.

    Where these give the label away, a network's accuracy says little. It learns from each video
    once, however many samples that has.
    """
    from sklearn.ensemble import RandomForestClassifier  # slow to import: workers do without

    learned = {v.video_id: v for v in train if v.label in spec["classes"]}.values()
    codecs = sorted({video.codec or "" for video in learned})
    labels = [spec["classes"].index(video.label) for video in learned]
    forest = RandomForestClassifier(TREES, random_state=seed, min_samples_leaf=2)
    forest.fit(_fields(list(learned), codecs), labels)
    made = np.zeros((len(measured), len(spec["classes"])))
    made[:, forest.classes_] = forest.predict_proba(_fields(measured, codecs))
    return made


BASELINES: Mapping[str, Baseline] = {"majority": majority, "header_only": header_only}


def _fields(videos: Sequence[Video], codecs: Sequence[str]) -> np.ndarray:
    rows = [
        [
            video.size_bytes,
            codecs.index(video.codec) if video.codec in codecs else -1,
            video.width,
            video.height,
            video.fps,
            video.num_frames,
            video.duration_s,
        ]
        for video in videos
    ]
    return np.array(rows, np.float64)
