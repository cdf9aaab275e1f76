from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from videoproc.tasks.classification import loss, training_loss

SPEC = {"classes": ["a", "b", "c"]}
ROWS = [{"label": name} for name in "aaaaaabbbc"]
LOGITS = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
BATCH = {"target": torch.tensor([0, 1, 2, -1])}


def losses(*, label_smoothing: float = 0.0, class_weights: str = "none") -> np.ndarray:
    loss_b = training_loss.make_loss(
        ROWS, SPEC, label_smoothing=label_smoothing, class_weights=class_weights
    )
    return loss_b(LOGITS, BATCH).numpy()


def by_formula(smoothing: float, weights: np.ndarray) -> np.ndarray:
    logits = LOGITS.numpy().astype(np.float64)
    log_p = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    target = (1 - smoothing) * np.eye(3) + smoothing / 3
    return np.append(-(weights * target * log_p[:3]).sum(axis=1), 0.0)


def test_smoothed_targets_and_balanced_classes_are_as_the_formula_says() -> None:
    weights = 10 / (3 * np.array([6, 3, 1]))
    np.testing.assert_allclose(losses(label_smoothing=0.2), by_formula(0.2, np.ones(3)), rtol=1e-5)
    np.testing.assert_allclose(
        losses(class_weights="balanced"), by_formula(0.0, weights), rtol=1e-5
    )
    np.testing.assert_allclose(
        losses(label_smoothing=0.2, class_weights="balanced"), by_formula(0.2, weights), rtol=1e-5
    )


def test_balanced_weights_are_scikit_learns_and_their_mean_over_the_rows_is_1() -> None:
    labels = [row["label"] for row in ROWS]
    plain, weighted = losses()[:3], losses(class_weights="balanced")[:3]
    theirs = compute_class_weight("balanced", classes=np.array(list("abc")), y=labels)
    np.testing.assert_allclose(weighted / plain, theirs, rtol=1e-5)
    assert np.mean([theirs["abc".index(name)] for name in labels]) == pytest.approx(1)


def test_without_settings_it_is_the_tasks_own_loss() -> None:
    np.testing.assert_array_equal(losses(), loss.loss_b(LOGITS, BATCH).numpy())
