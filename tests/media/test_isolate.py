"""A call that crashes, hangs or eats memory costs itself only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import av
import pytest

from videoproc.media import Limits, MediaError, probe
from videoproc.media.isolate import Isolated, shared


@pytest.fixture(scope="module")
def isolated():
    with Isolated() as children:
        yield children


def still_runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended may stay as a zombie where nobody waits for it.
    return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()


def test_a_call_runs_in_another_process(isolated):
    assert isolated.call(os.getpid) != os.getpid()


def test_the_child_is_kept_from_call_to_call(isolated):
    assert isolated.call(os.getpid) == isolated.call(os.getpid)


@pytest.mark.parametrize("signal_number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_costs_only_its_call(isolated, signal_number):
    with pytest.raises(MediaError, match=signal.Signals(signal_number).name) as caught:
        isolated.call(signal.raise_signal, signal_number)
    assert caught.value.error_class == "Crash"
    assert isolated.call(abs, -3) == 3


def test_a_call_that_hangs_is_ended(isolated):
    started = time.monotonic()
    with pytest.raises(MediaError, match=r"not done after 0.5 s") as caught:
        isolated.call(time.sleep, 60, timeout_s=0.5)
    assert caught.value.error_class == "Timeout"
    assert time.monotonic() - started < 10
    assert isolated.call(abs, -3) == 3


def test_memory_is_limited(isolated):
    take_900_mib = "len(bytes(900 << 20))"
    with pytest.raises(MediaError) as caught:
        isolated.call(eval, take_900_mib, max_memory_bytes=1 << 30)
    assert caught.value.error_class == "OutOfMemory"
    assert isolated.call(eval, take_900_mib, max_memory_bytes=2 << 30) == 900 << 20


def test_what_the_call_says_of_a_bad_file_comes_through_unchanged(isolated, tmp_path):
    (tmp_path / "v.mp4").write_text("no video")
    with pytest.raises(MediaError, match="Invalid data found") as caught:
        isolated.call(probe, tmp_path / "v.mp4")
    assert caught.value.error_class == "InvalidDataError"


def test_a_bug_comes_through_as_itself(isolated):
    with pytest.raises(ZeroDivisionError):
        isolated.call(divmod, 1, 0)


def test_an_error_of_ffmpeg_that_nobody_translated_is_a_bug_too(isolated):
    with pytest.raises(av.error.FileNotFoundError):
        isolated.call(av.open, "/nowhere/to/be/found")
    assert isolated.call(abs, -3) == 3


def test_a_child_that_died_while_idle_is_replaced(isolated):
    os.kill(isolated.call(os.getpid), signal.SIGKILL)
    assert isolated.call(abs, -3) == 3
    os.kill(isolated.call(os.getpid), signal.SIGKILL)
    time.sleep(0.5)
    assert isolated.call(abs, -3) == 3


def test_the_child_does_not_import_its_parents_main(isolated):
    main_file = "getattr(__import__('sys').modules['__main__'], '__file__', None)"
    assert isolated.call(eval, main_file) is None


def test_many_items_come_back_in_order_each_with_its_own_fate():
    signals = [0, signal.SIGSEGV, 0, 0, signal.SIGSEGV, signal.SIGSEGV, 0, 0, 0]
    with Isolated(max_workers=3) as children:
        results = list(children.map(signal.raise_signal, signals))
    assert [item for item, _ in results] == signals
    for signal_number, outcome in results:
        assert isinstance(outcome, MediaError) == (signal_number == signal.SIGSEGV)


def test_items_are_read_only_a_little_ahead():
    read = []
    with Isolated(max_workers=2) as children:
        results = children.map(abs, (read.append(i) or i for i in range(1000)))
        next(results)
        assert len(read) < 20
        results.close()


def test_threads_share_one_child():
    pids = set()
    threads = [
        threading.Thread(target=lambda: pids.add(shared().call(os.getpid))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 1


def test_a_child_leaves_when_its_parent_is_killed():
    script = (
        "import os, threading, time\n"
        "from videoproc.media.isolate import shared\n"
        "print(shared().call(os.getpid), flush=True)\n"
        "shared().call(time.sleep, 60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child_pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 3
    while still_runs(child_pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not still_runs(child_pid)


def test_a_process_that_used_a_child_ends_by_itself():
    script = "import os; from videoproc.media.isolate import shared; shared().call(os.getpid)"
    done = subprocess.run(
        [sys.executable, "-c", script], timeout=20, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("field", "value"), [("timeout_s", 0), ("timeout_s", -1), ("max_memory_bytes", 1000)]
)
def test_wrong_limits_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value}: give"):
        Limits(**{field: value})
