"""What must be beaten: a model that never sees a pixel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from videoproc.types import Video

TREES = 300


def baselines(train: Sequence[Video], measured: Sequence[Video]) -> dict[str, float]:
    """header_only_accuracy: a forest on the headers of `train`, measured on `measured`."""
    train = [video for video in train if video.label is not None]
    measured = [video for video in measured if video.label is not None]
    if not train or not measured:
        return {}
    told = header_predictions(train, measured)
    hits = [video.label == label for video, label in zip(measured, told, strict=True)]
    return {"header_only_accuracy": float(np.mean(hits))}


def header_predictions(
    train: Sequence[Video], test: Sequence[Video], *, seed: int = 0
) -> list[str]:
    """The labels of `test` as a random forest tells them from the files' headers alone.

    Size, codec, resolution, rate, frames and duration: where these give the label away, a
    network's accuracy says little. Both lists hold readable, labelled videos.
    """
    from sklearn.ensemble import RandomForestClassifier  # slow to import: workers do without

    codecs = sorted({video.codec or "" for video in train})
    forest = RandomForestClassifier(TREES, random_state=seed, min_samples_leaf=2)
    forest.fit(_fields(train, codecs), [video.label for video in train])
    return [str(label) for label in forest.predict(_fields(test, codecs))]


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
