"""One night at a time: the second sees the first, and a dead one loses its lease."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from videoproc.tables import lease
from videoproc.tables.lease import HeldError, hold


def rows_of(dataset):
    return dataset.lease.read().to_pylist()


def test_the_lease_is_there_within_the_with_and_gone_after_it(dataset):
    with hold(dataset.lease, job="nightly"):
        (row,) = rows_of(dataset)
        assert (row["job"], row["pid"]) == ("nightly", os.getpid())
    assert rows_of(dataset) == []


def test_a_second_holder_is_refused_and_told_who_has_it(dataset):
    with hold(dataset.lease, job="nightly"):
        refused = pytest.raises(HeldError, match=f"nightly on {socket.gethostname()}, process")
        with refused, hold(dataset.lease, job="nightly"):
            pytest.fail("two at once")
        assert len(rows_of(dataset)) == 1


def test_a_second_holder_may_wait_and_says_so_once(dataset, monkeypatch):
    monkeypatch.setattr(lease, "POLL_S", 0.05)
    first = hold(dataset.lease, job="nightly")
    first.__enter__()
    end = threading.Timer(0.3, lambda: first.__exit__(None, None, None))
    end.start()
    said: list[str] = []
    with hold(dataset.lease, job="nightly", wait_s=30, on_wait=said.append):
        assert len(rows_of(dataset)) == 1
    end.join()
    assert len(said) == 1
    assert "waiting up to 30 s for nightly" in said[0]


def test_the_lease_ends_with_an_error_too(dataset):
    with pytest.raises(ZeroDivisionError), hold(dataset.lease, job="nightly"):
        raise ZeroDivisionError
    assert rows_of(dataset) == []


HOLDER = """
import os, pathlib, signal, sys
from videoproc.tables import Dataset
from videoproc.tables.lease import hold
with hold(Dataset(folder=pathlib.Path(sys.argv[1])).lease, job="nightly"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_process_that_was_killed_has_lost_it_at_once(dataset):
    killed = subprocess.run([sys.executable, "-c", HOLDER, str(dataset.folder)], check=False)
    assert killed.returncode == -9
    assert len(rows_of(dataset)) == 1
    with hold(dataset.lease, job="nightly"):
        assert [row["pid"] for row in rows_of(dataset)] == [os.getpid()]


def test_one_on_another_machine_that_no_longer_renews_has_lost_it(dataset):
    elsewhere = {"holder": "x", "job": "nightly", "host": "other", "machine": "m", "pid": 1}
    row = elsewhere | {"since": "then", "renewed_s": time.time()}
    dataset.lease.append_rows([row])
    with pytest.raises(HeldError, match="nightly on other"), hold(dataset.lease, job="n"):
        pytest.fail("it is alive")
    dataset.lease.update(lambda rows: rows.slice(0, 0))
    dataset.lease.append_rows([row | {"renewed_s": time.time() - lease.LOST_AFTER_S - 1}])
    with hold(dataset.lease, job="nightly"):
        assert [r["host"] for r in rows_of(dataset)] == [socket.gethostname()]


def test_the_holder_renews_it(dataset, monkeypatch):
    monkeypatch.setattr(lease, "RENEW_S", 0.05)
    with hold(dataset.lease, job="nightly"):
        before = rows_of(dataset)[0]["renewed_s"]
        deadline = time.monotonic() + 20
        while rows_of(dataset)[0]["renewed_s"] == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert rows_of(dataset)[0]["renewed_s"] > before


def test_a_renewal_that_fails_once_is_tried_again(dataset, monkeypatch):
    monkeypatch.setattr(lease, "RENEW_S", 0.02)
    renew, said, tried = lease._renewed, [], []

    def fail_once(rows, me):
        tried.append(me)
        if len(tried) == 1:
            raise OSError("the store is slow")
        return renew(rows, me)

    monkeypatch.setattr(lease, "_renewed", fail_once)
    with hold(dataset.lease, job="nightly", on_wait=said.append):
        deadline = time.monotonic() + 30
        while len(tried) < 3 and time.monotonic() < deadline:
            time.sleep(0.01)
    assert len(tried) >= 3
    assert said == ["the lease was not renewed: the store is slow"]


def test_a_lease_that_cannot_be_given_back_costs_no_work(dataset, monkeypatch):
    said = []

    def refuse(*_):
        raise OSError("the store is away")

    monkeypatch.setattr(lease, "_without", refuse)
    with hold(dataset.lease, job="nightly", on_wait=said.append):
        pass
    assert said == ["the lease is left to end by itself: the store is away"]
