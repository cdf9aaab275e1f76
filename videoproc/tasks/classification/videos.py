"""A video's class: the probabilities of its clips averaged."""

from __future__ import annotations

import numpy as np

from videoproc.tasks.task import Scores


def of_videos(scores: Scores, video_b: np.ndarray) -> Scores:
    """probabilities: (V, K) means over clips; target: (V,) that of its clips, which is one."""
    _, first, clips = np.unique(video_b, return_index=True, return_counts=True)
    target = scores["target"][first]
    assert np.array_equal(target[video_b], scores["target"]), "the clips of a video share its label"
    sums = np.zeros((len(first), scores["probabilities"].shape[1]))
    np.add.at(sums, video_b, scores["probabilities"])
    return {"probabilities": sums / clips[:, None], "target": target}
