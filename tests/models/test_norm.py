"""Normalisation with batch statistics and without."""

from __future__ import annotations

import math

import pytest
import torch

from videoproc.models.norm import make_convolution, make_norm, standardised


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


@pytest.mark.parametrize("kind", ["none", "weight"])
def test_maps_stay_as_they_are_without_a_norm_of_maps(kind: str) -> None:
    maps = torch.randn(2, 4, 3, 3)
    assert make_norm(kind, 4, dims=2)(maps).equal(maps)


@pytest.mark.parametrize("dims", [2, 3])
def test_standardised_filters_have_mean_0_and_the_same_energy_whatever_their_weights(
    dims: int,
) -> None:
    torch.manual_seed(0)
    layer = make_convolution("weight", 6, 5, dims=dims, kernel_size=3)
    with torch.no_grad():
        layer.weight.mul_(7).add_(2)
    filters = standardised(layer.weight.detach()).flatten(1)
    torch.testing.assert_close(filters.mean(dim=1), torch.zeros(5), atol=1e-5, rtol=0)
    energy = torch.full((5,), 2 / (1 - 1 / math.pi))
    torch.testing.assert_close(filters.square().sum(dim=1), energy)


def test_maps_keep_their_variance_through_many_standardised_layers() -> None:
    torch.manual_seed(0)
    maps = torch.randn(4, 64, 12, 12)
    for _ in range(10):
        layer = make_convolution("weight", 64, 64, dims=2, kernel_size=3, padding=1)
        with torch.no_grad():
            layer.bias.zero_()
            maps = layer(maps.relu())
    assert 0.4 < maps.std() < 2.5


@pytest.mark.parametrize("kind", ["none", "weight"])
@pytest.mark.parametrize("num_frames", [1, 2, 3, 4])
def test_gradients_in_bfloat16_are_those_of_float32_up_to_rounding_however_short_the_clip(
    kind: str, num_frames: int
) -> None:
    torch.manual_seed(0)
    layer = make_convolution(kind, 64, 64, dims=3, kernel_size=3, padding=1)
    maps = torch.randn(8, 64, num_frames, 4, 4)
    found = []
    for bf16 in (False, True):
        layer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            made = layer(maps)
        made.float().square().sum().backward()
        assert layer.weight.grad is not None
        found.append(layer.weight.grad.clone())
    assert torch.nn.functional.cosine_similarity(*map(torch.flatten, found), dim=0) > 0.99
