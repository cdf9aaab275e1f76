"""The training step's augmentation: what the model sees, and what a mixed clip costs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from videoproc.augment import StepAugmentation
from videoproc.learning import augmented
from videoproc.learning.loader import GlobalBatch, batches
from videoproc.tasks import select_task

MIX = StepAugmentation(mixup=0.5, cutmix=1.0)
ALL = StepAugmentation(flip_horizontal=True, min_crop_area=0.5, jitter=0.3, mixup=0.5, cutmix=1.0)
SPEC = {"classes": ["bright", "dark", "medium"]}


def read(samples, settings, *, rank=0, num_workers=1, epoch=0, first_batch=0):
    return list(
        batches(
            samples[:13],
            make_batch=lambda rows: select_task("classification").targets.make_batch(rows, SPEC),
            order=np.random.default_rng(epoch).permutation(13),
            batch_size=5,
            rank=rank,
            num_workers=num_workers,
            first_batch=first_batch,
            device=torch.device("cpu"),
            pairs=augmented.pairs(settings, seed=3, epoch=epoch),
        )
    )


def seen(samples, settings, *, epoch=0, segments=None, **how):
    """By clip id: the frames that the model sees, and the target in probabilities."""
    found = {}
    first = how.get("first_batch", 0)
    for number, batch in enumerate(read(samples, settings, epoch=epoch, **how), first):
        made = augmented.augment(
            batch, settings, segments=segments, seed=3, epoch=epoch, number=number
        )
        own = F.one_hot(made.own["target"], 3).float()
        if made.partners is not None:
            share = made.share_b[:, None]
            own = share * own + (1 - share) * F.one_hot(made.partners["target"], 3)
        for i in np.flatnonzero(batch.weight_b):
            found[batch.clip_ids[i]] = (made.own["frames"][i].numpy(), own[i].numpy())
    return found


@pytest.mark.parametrize("settings", [MIX, ALL])
@pytest.mark.parametrize("num_workers", [2, 3, 5])
def test_a_sample_is_the_same_whatever_the_number_of_workers(samples, settings, num_workers):
    alone, shared = seen(samples, settings), {}
    for rank in range(num_workers):
        shared |= seen(samples, settings, rank=rank, num_workers=num_workers)
    assert shared.keys() == alone.keys()
    for clip_id, (frames, target) in alone.items():
        # kornia's grid may round otherwise in a batch of another size.
        assert np.abs(shared[clip_id][0].astype(int) - frames).max() <= 1
        np.testing.assert_allclose(shared[clip_id][1], target, atol=1e-6)


def test_a_resumed_epoch_goes_on_with_the_same_samples(samples):
    whole, rest = seen(samples, ALL), seen(samples, ALL, first_batch=1)
    assert len(rest) == 8
    for clip_id, (frames, _) in rest.items():
        assert (frames == whole[clip_id][0]).all()


def test_of_longer_clips_another_frame_of_each_segment_is_seen_in_each_epoch(samples):
    settings, found = StepAugmentation(), set()
    whole = seen(samples, settings)
    for epoch in range(12):
        for clip_id, (frames, _) in seen(samples, settings, epoch=epoch, segments=2).items():
            of_clip = whole[clip_id][0]
            places = [tuple(t for t in range(3) if (of_clip[t] == one).all()) for one in frames]
            assert 0 in places[0] or 1 in places[0]
            assert 1 in places[1] or 2 in places[1]
            found.add(tuple(places))
    assert {((0,), (1,)), ((0,), (2,)), ((1,), (2,))} <= found


def test_the_chosen_frames_are_the_same_whatever_the_number_of_workers(samples):
    alone, shared = seen(samples, MIX, segments=2), {}
    for rank in range(3):
        shared |= seen(samples, MIX, segments=2, rank=rank, num_workers=3)
    for clip_id, (frames, _) in alone.items():
        assert (shared[clip_id][0] == frames).all()


def test_another_epoch_draws_anew(samples):
    first, second = seen(samples, ALL), seen(samples, ALL, epoch=1)
    same = [(first[i][0] == second[i][0]).all() for i in first]
    assert sum(same) <= 1


def test_mixed_frames_and_targets_are_of_one_pair(samples):
    plain = seen(samples, StepAugmentation())
    mixed = seen(samples, StepAugmentation(mixup=0.5))
    targets = np.stack([target for _, target in mixed.values()])
    assert (targets.max(axis=1) < 0.95).any()
    for clip_id, (frames, target) in mixed.items():
        own, own_target = (value.astype(float) for value in plain[clip_id])
        assert any(
            is_mix(frames, target, own, own_target, other.astype(float), other_target)
            for other, other_target in plain.values()
        )


def is_mix(frames, target, own, own_target, other, other_target):
    """Whether frames and target are mixed of the same two clips, by the same share."""
    difference = (own - other).ravel()
    share = (frames - other).ravel() @ difference / max(difference @ difference, 1.0)
    right_frames = np.abs(share * own + (1 - share) * other - frames).max() <= 1
    right_target = np.abs(share * own_target + (1 - share) * other_target - target).max() < 0.01
    return right_frames and (right_target or not difference.any())


@pytest.mark.parametrize("settings", [StepAugmentation(mixup=0.5), StepAugmentation(cutmix=1.0)])
def test_the_loss_is_the_cross_entropy_of_the_mixed_target(samples, settings):
    loss = select_task("classification").loss
    (batch, *_) = read(samples, settings)
    made = augmented.augment(batch, settings, segments=None, seed=3, epoch=0, number=0)
    logits = torch.randn(5, 3)
    one_hot = [F.one_hot(part["target"], 3).float() for part in (made.own, made.partners)]
    target = made.share_b[:, None] * one_hot[0] + (1 - made.share_b[:, None]) * one_hot[1]
    expected = F.cross_entropy(logits, target, reduction="none")
    torch.testing.assert_close(made.loss_b(loss.loss_b, logits), expected)


def test_what_is_off_leaves_a_batch_as_it_is(samples):
    (batch, *_) = read(samples, StepAugmentation())
    made = augmented.augment(batch, StepAugmentation(), segments=None, seed=3, epoch=0, number=0)
    assert made.partners is None
    assert made.own["frames"] is batch.arrays["frames"]


def test_alone_a_worker_reads_no_clip_twice_for_the_sake_of_pairs(samples):
    for batch in read(samples, MIX):
        assert len(batch.clip_ids) == len(set(batch.clip_ids)) == batch.global_size


def test_partners_of_other_workers_are_read_behind_the_own_clips(samples):
    for batch in read(samples, MIX, rank=1, num_workers=3):
        assert isinstance(batch, GlobalBatch)
        assert len(batch.weight_b) == len(batch.places) == len(batch.partners)
        assert len(batch.clip_ids) == len(batch.arrays["frames"]) >= len(batch.places)
        assert len(set(batch.clip_ids)) == len(batch.clip_ids)
