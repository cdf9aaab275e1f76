from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import accuracy_score
from torch import nn

from videoproc.learning.checkpoint import Card
from videoproc.learning.evaluate import interval, paired_interval, score
from videoproc.learning.samples import Sample, read_sample
from videoproc.learning.world import World
from videoproc.tables.clip_reader import ClipReader
from videoproc.tasks import Scores, select_task

MakeCard = Callable[..., Card]


def measure(
    model: nn.Module, samples: list[Sample], card: Card, *, batch_size: int
) -> tuple[Scores, np.ndarray]:
    return score(
        model,
        samples,
        task=select_task("classification"),
        spec=card.spec,
        batch_size=batch_size,
        world=World.current(torch.device("cpu")),
    )


@pytest.mark.parametrize("num", [1, 5, 8, 53])
@pytest.mark.parametrize("batch_size", [1, 5, 8, 100])
def test_every_sample_is_scored_once_and_in_order(
    samples: list[Sample], make_card: MakeCard, num: int, batch_size: int
) -> None:
    card = make_card()
    model = card.build().eval()
    scores, losses = measure(model, samples[:num], card, batch_size=batch_size)
    task, reader = select_task("classification"), ClipReader()
    for i in range(num):  # one by one
        arrays = task.targets.make_batch([read_sample(samples[i], reader)], card.spec)
        batch = {name: torch.from_numpy(array) for name, array in arrays.items()}
        outputs = task.loss.forward(model, batch)
        expected = task.metrics.scores(outputs, batch)
        np.testing.assert_allclose(
            scores["probabilities"][i], expected["probabilities"][0].detach(), atol=1e-6
        )
        assert scores["target"][i] == expected["target"][0]
        assert losses[i] == pytest.approx(task.loss.loss_b(outputs, batch).item(), abs=1e-6)
    assert len(scores["target"]) == len(losses) == num


def test_dropout_is_off_while_measuring(samples: list[Sample], make_card: MakeCard) -> None:
    card = make_card(dropout=0.5)
    model = card.build().train()
    first, _ = measure(model, samples, card, batch_size=8)
    second, _ = measure(model, samples, card, batch_size=8)
    assert np.array_equal(first["probabilities"], second["probabilities"])


def test_the_interval_of_groups_that_are_all_right_or_all_wrong_is_the_binomials() -> None:
    # 5 of 10 groups of 7 samples are right: resampling draws a binomial number of right groups.
    right = np.repeat([1.0, 0.0] * 5, 7)
    groups = [f"source {i // 7}" for i in range(70)]
    found = interval(lambda indices: float(right[indices].mean()), groups=groups)
    expected = stats.binom.ppf([0.025, 0.975], 10, 0.5) / 10
    assert found == pytest.approx(expected)


def test_without_groups_the_interval_is_scipys_percentile_bootstrap() -> None:
    rng = np.random.default_rng(0)
    target, told = rng.integers(0, 3, 200), rng.integers(0, 3, 200)
    found = interval(
        lambda indices: accuracy_score(target[indices], told[indices]), groups=[None] * 200
    )
    reference = stats.bootstrap(
        [(target == told).astype(float)], np.mean, method="percentile", n_resamples=20000, rng=1
    ).confidence_interval
    assert found == pytest.approx((reference.low, reference.high), abs=0.012)


def test_the_interval_is_wider_by_group_than_by_sample_when_groups_are_correlated() -> None:
    right = np.repeat(np.random.default_rng(0).integers(0, 2, 12), 20).astype(float)

    def width(groups: list[str | None]) -> float:
        low, high = interval(lambda indices: float(right[indices].mean()), groups=groups)
        return high - low

    assert width([str(i // 20) for i in range(240)]) > 3 * width([None] * 240)


def test_one_group_alone_gives_no_interval() -> None:
    right = np.array([1.0, 0.0, 1.0, 1.0])
    assert interval(lambda indices: float(right[indices].mean()), groups=["only"] * 4) is None


def test_the_interval_is_the_same_each_time() -> None:
    right = np.random.default_rng(0).random(50)
    groups: list[str | None] = [str(i % 7) for i in range(50)]

    def found() -> tuple[float, float]:
        return interval(lambda indices: float(right[indices].mean()), groups=groups)

    assert found() == found()


def accuracy_of(right: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda indices: right[indices].mean(axis=0)


def test_the_paired_interval_is_that_of_the_differences_of_each_sample() -> None:
    rng = np.random.default_rng(0)
    right_a, right_b = rng.random(90) < 0.6, rng.random(90) < 0.7
    groups: list[str | None] = [str(i % 9) for i in range(90)]
    found = paired_interval(
        accuracy_of(right_a.astype(float)), accuracy_of(right_b.astype(float)), groups=groups
    )
    gain = right_b.astype(float) - right_a
    assert found == pytest.approx(interval(accuracy_of(gain), groups=groups))


def test_the_paired_interval_of_few_groups_is_that_of_all_their_resamplings() -> None:
    gain_of_group = np.array([0.3, -0.1, 0.2, 0.05])
    every = [gain_of_group[list(drawn)].mean() for drawn in itertools.product(range(4), repeat=4)]
    found = paired_interval(
        accuracy_of(np.zeros(8)),
        accuracy_of(np.repeat(gain_of_group, 2)),
        groups=[str(i // 2) for i in range(8)],
    )
    assert found == pytest.approx(tuple(np.quantile(every, [0.025, 0.975])), abs=0.02)


def test_the_paired_interval_of_b_and_a_is_that_of_a_and_b_the_other_way_round() -> None:
    rng = np.random.default_rng(1)
    a, b = accuracy_of(rng.random((40, 2))), accuracy_of(rng.random((40, 2)))
    low, high = paired_interval(a, b, groups=[None] * 40)
    back_low, back_high = paired_interval(b, a, groups=[None] * 40)
    np.testing.assert_allclose(low, -back_high)
    np.testing.assert_allclose(high, -back_low)


def test_a_shared_difficulty_falls_out_of_the_paired_interval() -> None:
    difficulty = np.random.default_rng(0).random(50)
    low, high = paired_interval(
        accuracy_of(difficulty), accuracy_of(difficulty + 0.01), groups=[None] * 50
    )
    assert (low, high) == pytest.approx((0.01, 0.01))


def test_one_group_alone_gives_no_paired_interval() -> None:
    right = accuracy_of(np.ones(4))
    assert paired_interval(right, right, groups=["only"] * 4) is None
