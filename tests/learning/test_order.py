from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from videoproc.learning.loader import parts
from videoproc.learning.order import balanced_order
from videoproc.types import UserError

LABELS = ["rare"] * 2 + ["usual"] * 5 + ["frequent"] * 14


def drawn(epoch: int, *, seed: int = 0) -> list[int]:
    return balanced_order(LABELS, seed=seed, epoch=epoch).tolist()


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=60), st.integers(0, 5))
def test_every_class_is_drawn_equally_often_in_an_epoch_of_about_as_many_clips(
    labels: list[str], epoch: int
) -> None:
    order = balanced_order(labels, seed=0, epoch=epoch)
    counts = {name: sum(labels[i] == name for i in order) for name in set(labels)}
    assert set(counts.values()) == {-(-len(labels) // len(counts))}


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), st.integers(1, 7))
def test_over_epochs_every_clip_of_a_class_comes_equally_often(
    labels: list[str], epochs: int
) -> None:
    orders = [balanced_order(labels, seed=0, epoch=epoch) for epoch in range(epochs)]
    times = np.bincount(np.concatenate(orders), minlength=len(labels))
    for name in set(labels):
        of_class = times[np.array(labels) == name]
        assert of_class.max() - of_class.min() <= 1


def test_seed_and_epoch_decide_the_order() -> None:
    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)
    assert drawn(3) != drawn(3, seed=1)


@pytest.mark.parametrize("num_workers", [1, 2, 3])
def test_the_workers_together_draw_the_same_whatever_their_number(num_workers: int) -> None:
    order = balanced_order(LABELS, seed=0, epoch=0)
    of_workers = [
        list(parts(order, batch_size=4, rank=rank, num_workers=num_workers))
        for rank in range(num_workers)
    ]
    for number, start in enumerate(range(0, len(order), 4)):
        together = np.concatenate(
            [own[number][0][own[number][1] > 0] for own in of_workers]  # weight 0 is no clip
        )
        assert sorted(together) == sorted(order[start : start + 4])


def test_a_clip_without_a_label_is_refused() -> None:
    with pytest.raises(UserError, match="1 of 3 clips have no label: label them, or turn it off"):
        balanced_order(["a", None, "b"], seed=0, epoch=0)
