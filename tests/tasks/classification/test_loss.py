from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import log_loss

from videoproc.tasks.classification import loss


def test_the_mean_loss_is_scikit_learns_log_loss_of_the_softmax() -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(20, 4)), rng.integers(0, 4, 20)
    losses = loss.loss_b(torch.from_numpy(logits), {"target": torch.from_numpy(target)})
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    expected = log_loss(target, probabilities, labels=[0, 1, 2, 3])
    np.testing.assert_allclose(losses.mean(), expected, rtol=1e-5)


def test_a_class_unseen_in_training_costs_nothing() -> None:
    losses = loss.loss_b(torch.randn(2, 3), {"target": torch.tensor([-1, 1])})
    assert losses[0] == 0
    assert losses[1] > 0


def test_half_precision_logits_give_full_precision_losses() -> None:
    logits = torch.randn(5, 3).bfloat16()
    assert loss.loss_b(logits, {"target": torch.arange(5) % 3}).dtype == torch.float32
