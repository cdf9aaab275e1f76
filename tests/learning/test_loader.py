from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from videoproc.learning.loader import GlobalBatch, Waiting, batches, epoch_order, parts
from videoproc.learning.samples import Sample
from videoproc.types import Row

CPU = torch.device("cpu")


def positions(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """The clip ids as numbers: what a test wants to know of a batch."""
    return {"clip": np.array([int(row["clip_id"][:15], 16) for row in rows])}


def load(samples: Sequence[Sample], **asked: object) -> list[GlobalBatch]:
    settings = {
        "make_batch": positions,
        "order": np.arange(len(samples)),
        "batch_size": 8,
        "device": CPU,
    }
    return list(batches(samples, **(settings | asked)))  # type: ignore[arg-type]


def clips_of(loaded: Sequence[GlobalBatch]) -> list[int]:
    return [clip for batch in loaded for clip in batch.arrays["clip"].tolist()]


def reading_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "read-ahead"]


@given(num=st.integers(0, 200), seed=st.integers(0, 9), epoch=st.integers(0, 9))
def test_an_epochs_order_is_a_permutation_that_seed_and_epoch_decide(
    num: int, seed: int, epoch: int
) -> None:
    order = epoch_order(num, seed=seed, epoch=epoch, shuffle=True)
    assert sorted(order) == list(range(num))
    assert np.array_equal(order, epoch_order(num, seed=seed, epoch=epoch, shuffle=True))


def test_another_seed_and_another_epoch_have_another_order() -> None:
    orders = {
        tuple(epoch_order(50, seed=seed, epoch=epoch, shuffle=True))
        for seed in range(5)
        for epoch in range(5)
    }
    assert len(orders) == 25


@given(
    num=st.integers(1, 60),
    batch_size=st.integers(1, 20),
    num_workers=st.integers(1, 7),
    seed=st.integers(0, 3),
)
def test_the_workers_parts_make_up_each_global_batch_exactly(
    num: int, batch_size: int, num_workers: int, seed: int
) -> None:
    order = epoch_order(num, seed=seed, epoch=0, shuffle=True)
    of_rank = [
        list(parts(order, batch_size=batch_size, rank=rank, num_workers=num_workers))
        for rank in range(num_workers)
    ]
    global_batches = [order[start : start + batch_size] for start in range(0, num, batch_size)]
    for batch, of_all in zip(global_batches, zip(*of_rank, strict=True), strict=True):
        counted = [i for indices, weights, _ in of_all for i in indices[weights > 0]]
        assert sorted(counted) == sorted(batch)
        assert {size for _, _, size in of_all} == {len(batch)}
        assert all(len(indices) == len(weights) > 0 for indices, weights, _ in of_all)


def test_batches_hold_the_samples_in_the_order_asked_for(samples: list[Sample]) -> None:
    order = epoch_order(len(samples), seed=3, epoch=0, shuffle=True)
    expected = positions([samples[i].row for i in order])["clip"].tolist()
    assert clips_of(load(samples, order=order)) == expected


def test_beginning_at_a_later_batch_gives_the_rest_of_the_same_epoch(
    samples: list[Sample],
) -> None:
    whole, rest = load(samples), load(samples, first_batch=3)
    assert clips_of(rest) == clips_of(whole[3:])


def test_waiting_for_data_is_accounted(samples: list[Sample]) -> None:
    waiting = Waiting()
    load(samples, waiting=waiting)
    assert waiting.seconds > 0


def test_an_error_of_reading_reaches_the_consumer_after_the_good_batches(
    samples: list[Sample],
) -> None:
    def fails_on_the_third(rows: Sequence[Row]) -> dict[str, np.ndarray]:
        if rows[0]["clip_id"] == samples[16].row["clip_id"]:
            raise RuntimeError("shard is gone")
        return positions(rows)

    source = batches(
        samples,
        make_batch=fails_on_the_third,
        order=np.arange(len(samples)),
        batch_size=8,
        device=CPU,
    )
    good = [next(source), next(source)]
    with pytest.raises(RuntimeError, match="shard is gone"):
        next(source)
    assert clips_of(good) == clips_of(load(samples)[:2])
    assert reading_threads() == []


def test_the_reading_thread_ends_with_the_epoch(samples: list[Sample]) -> None:
    load(samples)
    assert reading_threads() == []


def test_the_reading_thread_ends_when_the_consumer_stops_early(samples: list[Sample]) -> None:
    source = batches(samples, make_batch=positions, order=np.arange(53), batch_size=2, device=CPU)
    next(source)
    assert len(reading_threads()) == 1
    source.close()  # type: ignore[attr-defined]
    assert reading_threads() == []
