from __future__ import annotations

import pytest
import torch
from torch import nn

from videoproc.learning.config import OptimConfig
from videoproc.learning.optim import add_penalties, make_optimiser, set_rate
from videoproc.types import UserError


def network(*, seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))


def train(model: nn.Module, optimiser: torch.optim.Optimizer, *, steps: int = 4) -> None:
    """Some steps on the same noise."""
    rng = torch.Generator().manual_seed(0)
    for _ in range(steps):
        optimiser.zero_grad()
        model(torch.randn(5, 3, generator=rng)).square().sum().backward()
        optimiser.step()


def test_weights_decay_and_biases_do_not() -> None:
    layer = nn.Linear(3, 2)
    before = layer.weight.detach().clone(), layer.bias.detach().clone()
    optimiser = make_optimiser(layer, OptimConfig(learning_rate=0.1, weight_decay=0.5))
    for parameter in layer.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimiser.step()
    torch.testing.assert_close(layer.weight, before[0] * (1 - 0.1 * 0.5))
    assert layer.bias.equal(before[1])


@pytest.mark.parametrize(
    ("settings", "theirs"),
    [
        ({"name": "sgd", "momentum": 0.0}, lambda p: torch.optim.SGD(p, lr=0.01)),
        (
            {"name": "sgd", "momentum": 0.8, "nesterov": True},
            lambda p: torch.optim.SGD(p, lr=0.01, momentum=0.8, nesterov=True),
        ),
        ({"name": "adam"}, lambda p: torch.optim.Adam(p, lr=0.01)),
        ({"weight_decay": 0.0}, lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.0)),
    ],
)
def test_the_optimiser_is_torchs_of_that_name(settings: dict, theirs) -> None:
    own, other = network(), network()
    train(own, make_optimiser(own, OptimConfig(learning_rate=0.01, **settings)))
    train(other, theirs(other.parameters()))
    torch.testing.assert_close(own.state_dict(), other.state_dict())


def test_momentum_adds_up_past_gradients() -> None:
    layer = nn.Linear(1, 1, bias=False)
    start = layer.weight.item()
    optimiser = make_optimiser(layer, OptimConfig(name="sgd", learning_rate=0.1, momentum=0.5))
    for _ in range(3):
        layer.weight.grad = torch.ones(1, 1)
        optimiser.step()
    # 1, then 1 + 0.5, then 1 + 0.5 + 0.25
    assert layer.weight.item() == pytest.approx(start - 0.1 * (1 + 1.5 + 1.75))


def test_penalties_are_those_of_the_written_sum() -> None:
    layer = nn.Linear(3, 2)
    l1, l2 = 0.3, 0.7
    loss = layer(torch.ones(1, 3)).sum()
    penalty = l1 * layer.weight.abs().sum() + l2 / 2 * layer.weight.square().sum()
    wanted = torch.autograd.grad(loss + penalty, layer.parameters(), retain_graph=True)
    loss.backward()
    add_penalties(layer, l1=l1, l2=l2)
    torch.testing.assert_close(layer.weight.grad, wanted[0])
    torch.testing.assert_close(layer.bias.grad, wanted[1])


def test_l2_of_sgd_is_torchs_weight_decay() -> None:
    own, other = nn.Linear(3, 2, bias=False), nn.Linear(3, 2, bias=False)
    other.load_state_dict(own.state_dict())
    optimiser = make_optimiser(own, OptimConfig(name="sgd", learning_rate=0.1, l2=0.4))
    theirs = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9, weight_decay=0.4)
    for _ in range(3):
        for model, step in ((own, optimiser.step), (other, theirs.step)):
            model.weight.grad = torch.ones(2, 3)
            if model is own:
                add_penalties(own, l1=0.0, l2=0.4)
            step()
    torch.testing.assert_close(own.weight, other.weight)


def test_frozen_weights_are_left_alone() -> None:
    model = network()
    model[0].requires_grad_(False)
    optimiser = make_optimiser(model, OptimConfig())
    optimised = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in model[1].parameters()}


def test_each_part_has_its_rate_and_still_only_weights_decay() -> None:
    model = network()
    config = OptimConfig(weight_decay=0.5, rates={"0": 0.1})
    optimiser = make_optimiser(model, config)
    set_rate(optimiser, 2.0)
    found = {
        id(p): (group["lr"], group["weight_decay"])
        for group in optimiser.param_groups
        for p in group["params"]
    }
    assert {name: found[id(p)] for name, p in model.named_parameters()} == {
        "0.weight": (0.2, 0.5),
        "0.bias": (0.2, 0.0),
        "1.weight": (2.0, 0.5),
        "1.bias": (2.0, 0.0),
    }


def test_rates_that_leave_nothing_to_learn_are_refused() -> None:
    with pytest.raises(UserError, match="freeze the whole model: leave a part to learn"):
        make_optimiser(network(), OptimConfig(rates={"": 0.0}))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0),
        ("weight_decay", -1),
        ("warmup_share", 1),
        ("clip_norm", 0),
        ("l1", -0.5),
        ("l2", float("nan")),
        ("momentum", 1.0),
        ("name", "lion"),
    ],
)
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"optim\.{field} is {value!r}: use "):
        OptimConfig(**{field: value})


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"name": "sgd", "weight_decay": 0.1}, r"weight_decay is 0.1, .*'sgd' has none: use optim"),
        ({"nesterov": True}, r"nesterov is true with optim.name 'adamw'.*: use it with sgd"),
        ({"name": "sgd", "nesterov": True, "momentum": 0.0}, r"momentum 0.0: use it with sgd and"),
        ({"rates": {"head": -1}}, r"optim.rates: 'head' is -1: use 0 \(frozen\)"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        OptimConfig(**settings)
