"""What the training step does to a batch before the model sees it.

A clip's draws depend on the seed, the epoch and its id, a pair's on the seed, the epoch and the
batch: neither on the number of workers nor on where a run was resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from videoproc.augment import StepAugmentation, draw_view, mix
from videoproc.augment.device import augment_frames
from videoproc.learning.loader import GlobalBatch
from videoproc.models.segments import draw_frames
from videoproc.tasks import Batch, LossB

FRAMES = "frames"
"""The array of a batch that holds uint8 (B, T, H, W, C)."""


@dataclass(kw_only=True)
class Augmented:
    """The worker's samples; where they are mixed, `partners` has the targets of the other clip
    in each, of which `share_b` is not."""

    own: Batch
    partners: Batch | None = None
    share_b: torch.Tensor | None = None

    def loss_b(self, loss_b: LossB, outputs: torch.Tensor) -> torch.Tensor:
        """(B,): of a mixed sample the mix of the losses by either target, which for a
        cross-entropy is the loss by the mixed target."""
        of_own = loss_b(outputs, self.own)
        if self.partners is None or self.share_b is None:
            return of_own
        of_partners = loss_b(outputs, self.partners)
        return self.share_b * of_own + (1 - self.share_b) * of_partners

    def rows(self, rows: slice) -> Augmented:
        """Some of the samples."""
        own, partners = (
            None if arrays is None else {name: array[rows] for name, array in arrays.items()}
            for arrays in (self.own, self.partners)
        )
        assert own is not None
        share_b = None if self.share_b is None else self.share_b[rows]
        return Augmented(own=own, partners=partners, share_b=share_b)


def pairs(
    settings: StepAugmentation, *, seed: int, epoch: int
) -> Callable[[int, int], np.ndarray] | None:
    """For the loader: (batch, its global size) to the partner of each of its places. None where
    nothing is mixed."""
    if not settings.mixes:
        return None
    return lambda batch, size: (
        mix.draw(size, settings=settings, seed=[seed, epoch, batch]).partner_b
    )


def augment(
    batch: GlobalBatch,
    settings: StepAugmentation,
    *,
    segments: int | None,
    seed: int,
    epoch: int,
    number: int,
) -> Augmented:
    """Batch `number` of an epoch as the model is to see it. segments: of each of so many of a clip
    it gets one frame; None gives it all."""
    arrays = dict(batch.arrays)
    if segments is not None:
        arrays[FRAMES] = _one_a_segment(arrays[FRAMES], batch.clip_ids, segments, [seed, epoch])
    of_each_clip = settings.of_each_clip
    if of_each_clip.used:
        num_frames, height, width = arrays[FRAMES].shape[1:4]
        views = [
            draw_view(
                (num_frames, height, width),
                augmentation=of_each_clip,
                seed=[seed, epoch, int(clip_id, 16)],
            )
            for clip_id in batch.clip_ids
        ]
        arrays[FRAMES] = augment_frames(arrays[FRAMES], views=views)
    if not settings.mixes:
        return Augmented(own=arrays)
    drawn = mix.draw(batch.global_size, settings=settings, seed=[seed, epoch, number])
    own = _rows(arrays, range(len(batch.places)))
    partners = _rows(arrays, batch.partners)
    own[FRAMES], share_b = mix.mix_frames(own[FRAMES], partners[FRAMES], drawn.of(batch.places))
    return Augmented(own=own, partners=partners | {FRAMES: own[FRAMES]}, share_b=share_b)


def _one_a_segment(
    frames_bthwc: torch.Tensor, clip_ids: Sequence[str], segments: int, seed: Sequence[int]
) -> torch.Tensor:
    drawn_bs = [
        draw_frames(
            frames_bthwc.shape[1],
            segments=segments,
            rng=np.random.default_rng([*seed, int(clip_id, 16), *b"segments"]),
        )
        for clip_id in clip_ids
    ]
    chosen_bs = torch.from_numpy(np.stack(drawn_bs)).to(frames_bthwc.device)
    clip_b1 = torch.arange(len(clip_ids), device=frames_bthwc.device)[:, None]
    return frames_bthwc[clip_b1, chosen_bs]


def _rows(arrays: Batch, rows: Sequence[int] | np.ndarray) -> Batch:
    index = torch.as_tensor(np.asarray(rows))
    return {name: array[index.to(array.device)] for name, array in arrays.items()}
