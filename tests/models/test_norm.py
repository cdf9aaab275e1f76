"""Normalisation with batch statistics and without."""

from __future__ import annotations

import pytest
import torch

from videoproc.models.norm import make_norm


@pytest.mark.parametrize(("channels", "groups"), [(8, 1), (24, 3), (32, 4), (13, 1)])
def test_group_norm_makes_each_group_of_a_sample_mean_0_and_variance_1(
    channels: int, groups: int
) -> None:
    normed = make_norm("group", channels, dims=2)(5 + 3 * torch.randn(2, channels, 6, 6))
    each = normed.detach().reshape(2, groups, -1)
    torch.testing.assert_close(each.mean(dim=2), torch.zeros(2, groups), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        each.var(dim=2, correction=0), torch.ones(2, groups), atol=1e-3, rtol=0
    )


def test_batch_norm_is_over_the_batch() -> None:
    normed = make_norm("batch", 4, dims=3)(5 + 3 * torch.randn(6, 4, 3, 5, 5)).detach()
    torch.testing.assert_close(normed.mean(dim=(0, 2, 3, 4)), torch.zeros(4), atol=1e-5, rtol=0)


def test_none_leaves_maps_as_they_are() -> None:
    maps = torch.randn(2, 4, 3, 3)
    assert make_norm("none", 4, dims=2)(maps).equal(maps)
