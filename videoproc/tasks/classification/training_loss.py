"""Cross-entropy with smoothed targets and weighted classes: what training may minimise."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from videoproc.tasks.task import Batch, LossB, Spec
from videoproc.types import Row


def make_loss(
    rows: Sequence[Row], spec: Spec, *, label_smoothing: float, class_weights: str
) -> LossB:
    """-sum_k w_k q_k log p_k for each sample, q = (1 - label_smoothing) * one-hot +
    label_smoothing / K (as torch's cross_entropy); 0 where the class is not in the spec.

    class_weights: "balanced" has w_k = N / (K n_k) for a class of n_k of the N training rows, so
    that their mean over those is 1; "none" has 1.
    """
    weights = _balanced(rows, spec) if class_weights == "balanced" else None

    def loss_b(outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        return F.cross_entropy(
            outputs.float(),
            batch["target"],
            weight=None if weights is None else weights.to(outputs.device),
            label_smoothing=label_smoothing,
            reduction="none",
            ignore_index=-1,
        )

    return loss_b


def _balanced(rows: Sequence[Row], spec: Spec) -> torch.Tensor:
    labels = np.array([row["label"] for row in rows])
    counts = np.array([(labels == name).sum() for name in spec["classes"]])
    weights = counts.sum() / (len(counts) * np.maximum(counts, 1))
    return torch.from_numpy(weights.astype(np.float32))
