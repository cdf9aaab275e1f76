"""Thousands of files and hundreds of dead children leave nothing behind."""

from __future__ import annotations

import gc
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.media.helpers import SPANS, encode_originals, left_after
from videoproc.media import Limits, MediaError, Sampling, Size, decode_clips
from videoproc.media.isolate import Isolated, shared

pytestmark = pytest.mark.slow

MIB = 1 << 20


def named_memory() -> set[Path]:
    """The segments that multiprocessing names."""
    return set(Path("/dev/shm").glob("psm_*"))


def test_ten_thousand_files_leave_memory_and_descriptors_as_they_were(tmp_path, moving_picture):
    paths = encode_originals(tmp_path, moving_picture)
    decode = decode_clips(
        sampling=Sampling(num_frames=4),
        size=Size(height=24, width=32),
        limits=Limits(timeout_s=60, max_memory_bytes=1 << 30),
    )
    rows = [{"uri": str(path), "spans": SPANS} for path in paths]

    def decode_all(times: int) -> None:
        for _ in range(times):
            for row in rows:
                assert [made["error_class"] for made in decode(row)] == ["", ""]

    decode_all(100)
    parent, child = psutil.Process(), psutil.Process(shared().call(os.getpid))
    gc.collect()
    before = [(p.memory_info().rss, p.num_fds(), p.num_threads()) for p in (parent, child)]
    decode_all(1000)
    gc.collect()
    after = [(p.memory_info().rss, p.num_fds(), p.num_threads()) for p in (parent, child)]
    grown = [(now[0] - then[0]) / MIB for then, now in zip(before, after, strict=True)]
    print(f"MiB grown over 10,000 files: parent {grown[0]:.1f}, child {grown[1]:.1f}")
    assert shared().call(os.getpid) == child.pid
    assert [now[1:] for now in after] == [then[1:] for then in before]
    assert grown[0] < 8
    assert grown[1] < 64


def test_a_hundred_dead_children_leave_nothing():
    parent, named = psutil.Process(), named_memory()
    with Isolated() as children:
        before = parent.num_fds(), parent.num_threads(), len(parent.children())
        for number in range(100):
            signal_number = signal.SIGSEGV if number % 10 else signal.SIGSTOP
            with pytest.raises(MediaError):
                children.call(signal.raise_signal, signal_number, timeout_s=0.1)
        after = parent.num_fds(), parent.num_threads(), len(parent.children())
    # The starter's thread came with the first child.
    assert after == (before[0], before[1] + 1, before[2])
    assert named_memory() == named


def test_parents_that_are_killed_at_any_moment_leave_no_child():
    script = (
        "import os\n"
        "from videoproc.media.isolate import shared\n"
        "print(os.getpid(), flush=True)\n"
        "while True:\n"
        "    print(shared().call(os.getpid), flush=True)\n"
        "    len(shared().call(bytes, 50_000_000))\n"
    )
    rng, named, pids = random.Random(0), named_memory(), set[int]()
    for _ in range(20):
        with subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True
        ) as parent:
            assert parent.stdout is not None
            parent.stdout.readline()
            time.sleep(rng.uniform(0, 0.6))
            children = psutil.Process(parent.pid).children()
            parent.kill()
            pids |= {child.pid for child in children}
            assert left_after(2, children) == []
    print(f"{len(pids)} children of 20 killed parents")
    assert pids
    assert named_memory() == named
