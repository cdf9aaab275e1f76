from __future__ import annotations

import numpy as np
import pytest

from videoproc.tasks.classification.videos import of_videos


def test_a_video_has_the_mean_probabilities_of_its_clips_wherever_they_stand() -> None:
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7]], np.float32)
    found = of_videos(
        {"probabilities": probabilities, "target": np.array([0, 1, 0, 1])}, np.array([1, 0, 1, 0])
    )
    np.testing.assert_allclose(found["probabilities"], [[0.25, 0.75], [0.65, 0.35]], rtol=1e-6)
    assert found["target"].tolist() == [1, 0]


def test_clips_of_one_video_under_two_labels_are_a_bug() -> None:
    scores = {"probabilities": np.full((2, 2), 0.5), "target": np.array([0, 1])}
    with pytest.raises(AssertionError, match="share its label"):
        of_videos(scores, np.array([0, 0]))
