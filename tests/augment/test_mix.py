"""Mixed clips hold the shares of their pair that they say, the same in all frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from videoproc.augment import StepAugmentation, mix

MIXUP, CUTMIX = StepAugmentation(mixup=0.4), StepAugmentation(cutmix=1.0)
BOTH = StepAugmentation(mixup=0.4, cutmix=1.0)


@pytest.fixture
def black_and_white():
    shape = (6, 4, 17, 24, 3)
    return torch.zeros(shape, dtype=torch.uint8), torch.full(shape, 255, dtype=torch.uint8)


@pytest.mark.parametrize("settings", [MIXUP, CUTMIX, BOTH])
def test_the_share_of_its_own_clip_is_the_one_that_a_mixed_clip_holds(settings, black_and_white):
    own, partners = black_and_white
    for seed in range(10):
        mixed, share_b = mix.mix_frames(own, partners, mix.draw(6, settings=settings, seed=[seed]))
        white = mixed.double().mean(dim=(1, 2, 3, 4)) / 255
        np.testing.assert_allclose(white, 1 - share_b.double(), atol=0.003)
        assert (mixed == mixed[:, :1]).all(), "the same in all frames"
        assert mixed.dtype == torch.uint8


def test_cutmix_replaces_one_rectangle_and_mixes_no_values(black_and_white):
    own, partners = black_and_white
    mixed, _ = mix.mix_frames(own, partners, mix.draw(6, settings=CUTMIX, seed=[1]))
    for frame in mixed[:, 0, :, :, 0]:
        rows, columns = frame.any(dim=1), frame.any(dim=0)
        assert (frame == 255 * (rows[:, None] & columns[None, :])).all()
        for line in (rows, columns):
            assert (line.int().diff().abs().sum() <= 2).all(), "in one piece"


@pytest.mark.parametrize("settings", [MIXUP, CUTMIX])
def test_a_clip_mixed_with_itself_is_itself(settings):
    own = torch.randint(0, 256, (6, 2, 9, 8, 3), dtype=torch.uint8)
    mixed, _ = mix.mix_frames(own, own, mix.draw(6, settings=settings, seed=[0]))
    assert (mixed == own).all()


def test_shares_follow_the_beta_distribution_that_was_asked_for():
    shares = mix.draw(20_000, settings=StepAugmentation(mixup=2.0), seed=[0]).share_b
    assert shares.mean() == pytest.approx(0.5, abs=0.01)
    assert shares.var() == pytest.approx(1 / (4 * 5), rel=0.05)  # of Beta(2, 2)


def test_everyone_is_the_partner_of_one():
    pairing = mix.draw(33, settings=BOTH, seed=[0])
    assert sorted(pairing.partner_b) == list(range(33))


def test_with_both_switched_on_half_of_the_batches_are_for_each():
    cuts = [mix.draw(2, settings=BOTH, seed=[s]).place_b2 is not None for s in range(400)]
    assert 160 < sum(cuts) < 240


def test_some_places_of_a_batch_are_mixed_as_they_are_among_all():
    clips = torch.randint(0, 256, (8, 2, 9, 8, 3), dtype=torch.uint8)
    for seed in range(4):
        pairing = mix.draw(8, settings=BOTH, seed=[seed])
        whole, share_b = mix.mix_frames(clips, clips[pairing.partner_b], pairing)
        places = np.array([1, 4, 7])
        part = pairing.of(places)
        mixed, share_of_part = mix.mix_frames(clips[places], clips[part.partner_b], part)
        assert (mixed == whole[places]).all()
        assert (share_of_part == share_b[places]).all()
