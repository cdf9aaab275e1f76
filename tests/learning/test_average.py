from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from videoproc.learning.average import Average


def shaken(model: nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.randn_like(parameter)


def test_the_average_is_that_of_the_formula() -> None:
    model = nn.Linear(1, 1, bias=False)
    average, expected = Average(model, decay=0.4), model.weight.item()
    for steps in range(1, 12):
        shaken(model)
        average.update(model, steps=steps)
        keep = min(0.4, (1 + steps) / (10 + steps))
        expected = keep * expected + (1 - keep) * model.weight.item()
        assert average.model.weight.item() == pytest.approx(expected, rel=1e-5)


def test_after_the_first_steps_it_is_torchs() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    theirs = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    theirs.update_parameters(model)  # its first is a copy
    ours = Average(model, decay=0.9)
    for steps in range(100, 110):
        shaken(model)
        ours.update(model, steps=steps)
        theirs.update_parameters(model)
    torch.testing.assert_close(ours.model.state_dict(), theirs.module.state_dict())


def test_running_statistics_are_averaged_and_counts_are_taken_over() -> None:
    model = nn.BatchNorm1d(2)
    average = Average(model, decay=0.5)
    model(torch.randn(8, 2) + 3)
    average.update(model, steps=100)
    torch.testing.assert_close(average.model.running_mean, model.running_mean / 2)
    assert average.model.num_batches_tracked == 1


def test_the_model_itself_stays_as_it_is() -> None:
    model = nn.Linear(2, 2)
    average = Average(model, decay=0.9)
    before = model.weight.detach().clone()
    average.update(model, steps=1)
    assert model.weight.equal(before)
    assert model.weight.requires_grad
    assert not average.model.weight.requires_grad
