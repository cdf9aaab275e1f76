"""Mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019): clips of a batch mixed in pairs.

What is drawn belongs to the place of a sample in the global batch, so it does not depend on how
many workers share the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from videoproc.augment.settings import StepAugmentation


@dataclass(frozen=True, kw_only=True)
class Pairing:
    """Of each place in a global batch: the place of its partner, the share of its own clip that
    is kept, and where its partner's rectangle lies (None: all of the picture is mixed)."""

    partner_b: np.ndarray
    share_b: np.ndarray
    place_b2: np.ndarray | None

    def of(self, places: np.ndarray) -> Pairing:
        """The same for some places of the batch."""
        return Pairing(
            partner_b=self.partner_b[places],
            share_b=self.share_b[places],
            place_b2=None if self.place_b2 is None else self.place_b2[places],
        )


def draw(num_samples: int, *, settings: StepAugmentation, seed: Sequence[int]) -> Pairing:
    """Pair the samples of a global batch, each with one other or itself. `settings` must mix."""
    rng = np.random.default_rng([*seed, *b"mix"])
    cuts = settings.cutmix > 0 and (settings.mixup == 0 or rng.random() < 0.5)
    alpha = settings.cutmix if cuts else settings.mixup
    return Pairing(
        partner_b=rng.permutation(num_samples),
        share_b=rng.beta(alpha, alpha, num_samples),
        place_b2=rng.random((num_samples, 2)) if cuts else None,
    )


def mix_frames(
    frames_bthwc: torch.Tensor, partners_bthwc: torch.Tensor, pairing: Pairing
) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 (B, T, H, W, C) mixed with partners of the same shape, the same in all frames of a
    clip; and (B,) float32, the share of its own clip that each holds."""
    device = frames_bthwc.device
    if pairing.place_b2 is None:
        share_b = torch.from_numpy(pairing.share_b).float().to(device)
        share = share_b.view(-1, 1, 1, 1, 1)
        mixed = frames_bthwc * share + partners_bthwc * (1 - share)
        return mixed.round().to(torch.uint8), share_b
    height, width = frames_bthwc.shape[2:4]
    side_b = np.sqrt(1 - pairing.share_b)
    inside_bh, share_of_height = _inside(height, side_b, pairing.place_b2[:, 0])
    inside_bw, share_of_width = _inside(width, side_b, pairing.place_b2[:, 1])
    inside = torch.from_numpy(inside_bh[:, :, None] & inside_bw[:, None, :]).to(device)
    mixed = torch.where(inside[:, None, :, :, None], partners_bthwc, frames_bthwc)
    share_b = torch.from_numpy(1 - share_of_height * share_of_width).float().to(device)
    return mixed, share_b


def _inside(length: int, side_b: np.ndarray, place_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(B, length) bool: an interval of about side_b of the length; and the share that it has."""
    size_b = np.rint(length * side_b)
    first_b = np.floor(place_b * (length - size_b + 1))
    at = np.arange(length)
    inside = (at >= first_b[:, None]) & (at < (first_b + size_b)[:, None])
    return inside, size_b / length
