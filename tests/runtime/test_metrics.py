"""Names that Prometheus understands, and receipts that pass as they are."""

from __future__ import annotations

import pytest
import ray

from videoproc.runtime import metrics

RECEIPT = {
    "num_rows": 3,
    "video_ids": ["a", "b"],
    "bytes_fetched": 0,
    "failures": [{"error_class": "Crash"}],
    "seconds": [{"step": "decode", "seconds": 1.5}, {"step": "write", "seconds": 0.0}],
}


@pytest.mark.parametrize("name", metrics.COUNTERS)
def test_a_counter_says_whose_it_is_and_its_unit(name: str) -> None:
    assert name.startswith("videoproc_")
    units = ("videos", "clips", "failures", "seconds", "bytes")
    assert name.endswith(tuple(f"_{unit}_total" for unit in units))
    _, labels = metrics.COUNTERS[name]
    assert not {"job", "instance"} & set(labels), "Prometheus has these for itself"


def test_without_ray_receipts_pass_uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test's cluster may be up in this process.
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    receipts = iter([RECEIPT])
    assert metrics.watch(receipts, pipeline="extract") is receipts


@pytest.mark.usefixtures("ray_cluster")
def test_counted_receipts_are_the_same_receipts() -> None:
    watched = metrics.watch(iter([RECEIPT, RECEIPT]), pipeline="extract")
    assert list(watched) == [RECEIPT, RECEIPT]
