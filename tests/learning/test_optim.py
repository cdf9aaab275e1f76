from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from videoproc.learning.config import OptimConfig
from videoproc.learning.optim import learning_rate, make_optimiser


def test_the_rate_rises_linearly_to_its_peak_and_falls_as_a_cosine() -> None:
    config = OptimConfig(learning_rate=0.5, warmup_share=0.2)
    rates = [learning_rate(step, total_steps=20, config=config) for step in range(20)]
    assert rates[:4] == pytest.approx([0.125, 0.25, 0.375, 0.5])
    falling = [0.25 * (1 + math.cos(math.pi * i / 16)) for i in range(16)]
    assert rates[4:] == pytest.approx(falling)


def test_without_warm_up_the_first_rate_is_the_peak() -> None:
    config = OptimConfig(learning_rate=0.5, warmup_share=0.0)
    assert learning_rate(0, total_steps=7, config=config) == 0.5


@given(
    total=st.integers(1, 500), share=st.floats(0, 0.99), peak=st.floats(1e-6, 10), data=st.data()
)
def test_every_step_has_a_rate_above_zero_and_at_most_the_peak(
    total: int, share: float, peak: float, data: st.DataObject
) -> None:
    step = data.draw(st.integers(0, total - 1))
    config = OptimConfig(learning_rate=peak, warmup_share=share)
    assert 0 < learning_rate(step, total_steps=total, config=config) <= peak * (1 + 1e-12)


def test_weights_decay_and_biases_do_not() -> None:
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().clone(), layer.bias.detach().clone()
    optimiser = make_optimiser(layer, OptimConfig(learning_rate=0.1, weight_decay=0.5))
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    torch.testing.assert_close(layer.weight, before[0] * (1 - 0.1 * 0.5))
    assert layer.bias.equal(before[1])


def test_frozen_weights_are_left_alone() -> None:
    network = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    network[0].requires_grad_(False)
    optimiser = make_optimiser(network, OptimConfig())
    optimised = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in network[1].parameters()}


@pytest.mark.parametrize(
    ("field", "value"),
    [("learning_rate", 0), ("weight_decay", -1), ("warmup_share", 1), ("clip_norm", 0)],
)
def test_a_wrong_setting_is_named(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"optim\.{field} is {value}"):
        OptimConfig(**{field: value})
