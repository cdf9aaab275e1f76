"""Weights from elsewhere, and parts that learn slowly or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from videoproc.models.initial import freeze, load_partly, parameter_groups, rate_factors
from videoproc.types import UserError


def network(*, outputs: int = 2, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    trunk = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4))
    return nn.ModuleDict({"trunk": trunk, "head": nn.Linear(4, outputs)})


def same(model: nn.Module, other: nn.Module, name: str) -> bool:
    return model.state_dict()[name].equal(other.state_dict()[name])


def test_a_run_of_ours_is_taken_whole(tmp_path: Path) -> None:
    model, source = network(), network(seed=1)
    save_file(source.state_dict(), tmp_path / "model.safetensors")
    loaded = load_partly(model, load_file(tmp_path / "model.safetensors"), strict=True)
    assert all(same(model, source, name) for name in model.state_dict())
    assert sorted(loaded.loaded) == sorted(model.state_dict())
    assert loaded.left == loaded.unused == ()


def test_names_are_mapped_by_their_longest_beginning_that_fits() -> None:
    model, source = network(), network(seed=1)
    tensors = {
        "backbone.first.weight": source["trunk"][0].weight.detach(),
        "backbone.2.bias": source["trunk"][2].bias.detach(),
        "backbones.0.bias": source["trunk"][0].bias.detach(),
    }
    loaded = load_partly(
        model, tensors, name_map={"backbone": "trunk", "backbone.first": "trunk.0"}
    )
    assert loaded.loaded == ("trunk.0.weight", "trunk.2.bias")
    assert loaded.unused == ("backbones.0.bias",)
    assert loaded.left == ("trunk.0.bias", "trunk.2.weight", "head.weight", "head.bias")
    assert same(model, source, "trunk.0.weight")
    assert not same(model, source, "trunk.0.bias")


@pytest.mark.parametrize(("name_map", "prefix"), [({"module": ""}, "module."), ({"": "trunk"}, "")])
def test_a_beginning_can_be_dropped_or_put_before_all(
    name_map: dict[str, str], prefix: str
) -> None:
    model, source = network(), network(seed=1)
    part = source if prefix else source["trunk"]
    tensors = {prefix + name: value for name, value in part.state_dict().items()}
    assert len(load_partly(model, tensors, name_map=name_map).loaded) == len(tensors)
    assert same(model, source, "trunk.0.weight")


def test_a_head_for_other_classes_is_skipped_and_stays() -> None:
    model, source, before = network(outputs=5), network(seed=1), network(outputs=5)
    loaded = load_partly(model, source.state_dict(), skip=["head"], strict=True)
    assert loaded.left == loaded.unused == ("head.weight", "head.bias")
    assert same(model, before, "head.weight")
    assert same(model, source, "trunk.2.weight")


def test_another_shape_is_refused_in_one_line_and_nothing_is_copied() -> None:
    model, before = network(outputs=5), network(outputs=5)
    with pytest.raises(UserError) as refused:
        load_partly(model, network(seed=1).state_dict())
    assert "'head.weight' is (2, 4) and the model's 'head.weight' is (5, 4)" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert all(same(model, before, name) for name in model.state_dict())


def test_what_is_missing_is_named_where_everything_is_asked_for() -> None:
    some = {"trunk.0.bias": torch.zeros(4), "fc.weight": torch.zeros(2, 4)}
    message = r"5 of the model's 6 tensors .*trunk.0.weight.* such as 'fc.weight', to the model's"
    with pytest.raises(UserError, match=message):
        load_partly(network(), some, strict=True)
    load_partly(network(), some)


def test_weights_of_which_none_fits_are_refused() -> None:
    with pytest.raises(UserError, match="6 of the model's 6 tensors are not among the 1 given"):
        load_partly(network(), {"fc.weight": torch.zeros(2, 4)})


def test_two_tensors_for_one_place_are_refused() -> None:
    tensors = {"a.bias": torch.zeros(2), "b.bias": torch.ones(2)}
    with pytest.raises(UserError, match=r"'a\.bias' and 'b\.bias' are both to become 'head\.bias'"):
        load_partly(network(), tensors, name_map={"a": "head", "b": "head"})


def test_a_part_to_skip_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match="skip: the model has no part 'fc'; it has trunk, head"):
        load_partly(network(), network().state_dict(), skip=["fc"])


def test_the_longest_part_decides_a_parameters_rate() -> None:
    names = ["trunk.0.weight", "trunk.2.weight", "trunks.weight", "head.weight"]
    factors = rate_factors(names, {"trunk": 0.1, "trunk.0": 0.0})
    assert factors == {
        "trunk.0.weight": 0.0,
        "trunk.2.weight": 0.1,
        "trunks.weight": 1.0,
        "head.weight": 1.0,
    }


def test_an_optimiser_moves_each_part_at_its_rate() -> None:
    model, rates = network(), {"trunk.0": 0.0, "trunk.2": 0.5}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    groups = parameter_groups(model, rates)
    optimiser = torch.optim.SGD(
        [{"params": group["params"], "lr": 0.1 * group["rate_factor"]} for group in groups]
    )
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimiser.step()
    moved = {name: float((before[name] - v).mean()) for name, v in model.state_dict().items()}
    assert moved["trunk.0.weight"] == 0
    assert moved["trunk.2.bias"] == pytest.approx(0.05)
    assert moved["head.weight"] == pytest.approx(0.1)


def test_frozen_parts_ask_for_no_gradient() -> None:
    model = network()
    frozen = freeze(model, {"trunk": 0.0, "trunk.2": 0.1})
    assert frozen == ["trunk.0.weight", "trunk.0.bias"]
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == frozen


@pytest.mark.parametrize(
    ("rates", "message"),
    [
        ({"tronk": 0.1}, "rates: the model has no part 'tronk'; it has trunk, head"),
        ({"trunk": -1.0}, "rates: trunk is -1.0: use 0"),
        ({"trunk": float("nan")}, "rates: trunk is nan: use 0"),
    ],
)
def test_a_wrong_rate_is_named(rates: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        parameter_groups(network(), rates)
