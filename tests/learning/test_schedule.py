from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.optim import lr_scheduler

from videoproc.learning.config import SCHEDULES, OptimConfig, ScheduleConfig
from videoproc.learning.schedule import learning_rate, plateau_drops

EPOCHS, STEPS_PER_EPOCH = 6, 5
TOTAL = EPOCHS * STEPS_PER_EPOCH
PEAK = 0.5


def rates(*, warmup_share: float = 0.0, drops: int = 0, **schedule: object) -> list[float]:
    """The rate of each step of a run of 6 epochs of 5 steps, its peak 0.5."""
    config = OptimConfig(
        learning_rate=PEAK,
        warmup_share=warmup_share,
        schedule=ScheduleConfig(**schedule),  # type: ignore[arg-type]
    )
    return [
        learning_rate(
            step, total_steps=TOTAL, steps_per_epoch=STEPS_PER_EPOCH, config=config, drops=drops
        )
        for step in range(TOTAL)
    ]


def by_torch(make, *, every: int = 1) -> list[float]:
    """The rate of each step by a scheduler of torch that is stepped after every so many steps."""
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=PEAK)
    scheduler, found = make(optimiser), []
    for step in range(TOTAL):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if (step + 1) % every == 0 and step + 1 < TOTAL:
            scheduler.step()
    return found


@pytest.mark.parametrize("name", [name for name in SCHEDULES if name != "one_cycle"])
def test_the_rate_rises_linearly_to_its_peak(name: str) -> None:
    rising = rates(name=name, warmup_share=0.2)[:6]
    assert rising == pytest.approx([PEAK * (step + 1) / 6 for step in range(6)])


def test_constant_stays_at_the_peak() -> None:
    assert rates(name="constant", warmup_share=0.2)[6:] == [PEAK] * 24


def test_cosine_falls_to_nothing_after_the_warm_up() -> None:
    falling = [PEAK * (1 + math.cos(math.pi * i / 24)) / 2 for i in range(24)]
    assert rates(warmup_share=0.2)[6:] == pytest.approx(falling)


def test_cosine_is_torchs() -> None:
    theirs = by_torch(lambda o: lr_scheduler.CosineAnnealingLR(o, T_max=TOTAL))
    assert rates(name="cosine") == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_exponential_falls_to_its_final_share_by_one_factor_a_step() -> None:
    falling = rates(name="exponential", final=0.02, warmup_share=0.2)[6:]
    assert falling == pytest.approx([PEAK * 0.02 ** (i / 24) for i in range(24)])


def test_exponential_is_torchs() -> None:
    theirs = by_torch(lambda o: lr_scheduler.ExponentialLR(o, gamma=0.02 ** (1 / TOTAL)))
    assert rates(name="exponential", final=0.02) == pytest.approx(theirs, rel=1e-9)


def test_step_falls_after_every_so_many_epochs_of_the_whole_run() -> None:
    found = rates(name="step", factor=0.3, every_epochs=2, warmup_share=0.2)
    assert found[6:] == pytest.approx([PEAK * 0.3 ** (step // 10) for step in range(6, 30)])


def test_step_is_torchs() -> None:
    theirs = by_torch(
        lambda o: lr_scheduler.StepLR(o, step_size=2, gamma=0.3), every=STEPS_PER_EPOCH
    )
    assert rates(name="step", factor=0.3, every_epochs=2) == pytest.approx(theirs, rel=1e-9)


def test_one_cycle_rises_from_a_25th_and_falls_to_a_10000th_of_that() -> None:
    found = rates(name="one_cycle", warmup_share=0.3)
    assert found[:9] == pytest.approx([PEAK * (1 / 25 + 24 / 25 * i / 8) for i in range(9)])
    end = PEAK / 25 / 10_000
    assert found[8:] == pytest.approx([PEAK + (end - PEAK) * i / 21 for i in range(22)])


@pytest.mark.parametrize("share", [0.1, 0.3, 0.5])
def test_one_cycle_is_torchs(share: float) -> None:
    theirs = by_torch(
        lambda o: lr_scheduler.OneCycleLR(
            o,
            PEAK,
            total_steps=TOTAL,
            pct_start=share,
            anneal_strategy="linear",
            cycle_momentum=False,
        )
    )
    assert rates(name="one_cycle", warmup_share=share) == pytest.approx(theirs, rel=1e-6)


def test_plateau_multiplies_the_peak_once_a_drop() -> None:
    assert rates(name="plateau", factor=0.5, drops=3) == pytest.approx([PEAK * 0.5**3] * TOTAL)


@pytest.mark.parametrize(
    ("values", "drops"),
    [
        ([], 0),
        ([3], 0),
        ([3, 3], 0),
        ([3, 3, 2], 1),  # as good is no better
        ([3, 3, 4, 4], 0),
        ([3, 3, 4, 4, 3], 1),
        ([3, 2, 2, 2, 2], 2),
    ],
)
def test_plateau_drops_each_time_that_two_epochs_were_no_better(
    values: list[float], drops: int
) -> None:
    assert plateau_drops([(value,) for value in values], patience=2) == drops


@given(
    values=st.lists(st.integers(0, 5).map(float), min_size=1, max_size=40),
    patience=st.integers(1, 4),
)
def test_plateau_is_torchs(values: list[float], patience: int) -> None:
    optimiser = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = lr_scheduler.ReduceLROnPlateau(
        optimiser, mode="max", factor=0.5, patience=patience - 1, threshold=0, eps=0
    )
    for value in values:
        scheduler.step(value)
    drops = plateau_drops([(value,) for value in values], patience=patience)
    assert optimiser.param_groups[0]["lr"] == 0.5**drops


@given(
    name=st.sampled_from(SCHEDULES),
    epochs=st.integers(1, 50),
    steps=st.integers(1, 20),
    share=st.floats(0, 0.99),
    peak=st.floats(1e-6, 10),
    data=st.data(),
)
def test_every_step_has_a_rate_above_zero_and_at_most_the_peak(
    name: str, epochs: int, steps: int, share: float, peak: float, data: st.DataObject
) -> None:
    step = data.draw(st.integers(0, epochs * steps - 1))
    config = OptimConfig(learning_rate=peak, warmup_share=share, schedule=ScheduleConfig(name=name))
    rate = learning_rate(
        step, total_steps=epochs * steps, steps_per_epoch=steps, config=config, drops=0
    )
    assert 0 < rate <= peak * (1 + 1e-12)


@pytest.mark.parametrize(
    ("setting", "value"),
    [("name", "linear"), ("factor", 1.0), ("final", 0.0), ("every_epochs", 0), ("patience", 0)],
)
def test_a_wrong_setting_is_named(setting: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"optim\.schedule\.{setting} is {value!r}: use "):
        ScheduleConfig(**{setting: value})  # type: ignore[arg-type]
