"""A call that crashes, hangs or eats memory costs itself only."""

from __future__ import annotations

import math
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import av
import numpy as np
import psutil
import pytest

from tests.media.helpers import left_after
from videoproc import storage
from videoproc.media import Limits, MediaError, probe
from videoproc.media.isolate import Isolated, shared
from videoproc.types import UserError


@pytest.fixture(scope="module")
def isolated():
    with Isolated() as children:
        yield children


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


def test_a_call_whose_child_was_killed_is_made_once_more(isolated, tmp_path):
    """As a machine without memory does: it says nothing of the file."""
    first = str(tmp_path / "first")
    once = (
        f"__import__('os').mkdir({first!r}) or __import__('os').kill(__import__('os').getpid(), 9)"
    )
    with pytest.raises(FileExistsError):
        isolated.call(eval, once)


@pytest.mark.parametrize(("fn", "value"), [(time.sleep, 60), (signal.raise_signal, signal.SIGSTOP)])
def test_a_call_that_hangs_is_ended(isolated, fn, value):
    with pytest.raises(MediaError, match=r"not done after 0.5 s") as caught:
        isolated.call(fn, value, timeout_s=0.5)
    assert caught.value.error_class == "Timeout"
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


def test_a_bug_carries_the_childs_traceback(isolated):
    with pytest.raises(ZeroDivisionError) as caught:
        isolated.call(divmod, 1, 0)
    assert "Traceback" in caught.value.__notes__[0]


def test_an_exception_that_cannot_travel_is_told_of(isolated):
    odd = "(_ for _ in ()).throw(type('Odd', (Exception,), {})('of its own kind'))"
    with pytest.raises(RuntimeError, match="Odd: of its own kind"):
        isolated.call(eval, odd)


def test_whatever_reading_a_file_raises_is_that_files_outcome(isolated):
    outcome = isolated.outcome(divmod, 1, 0, limits=Limits())
    assert isinstance(outcome, MediaError)
    assert outcome.error_class == "ZeroDivisionError"
    assert "Traceback" in outcome.message
    assert isolated.outcome(divmod, 7, 2, limits=Limits()) == (3, 1)


def test_what_the_user_can_mend_is_no_files_outcome(isolated):
    with pytest.raises(UserError, match="is no place"):
        isolated.outcome(storage.at, "s3://", limits=Limits())


def test_an_error_of_ffmpeg_that_nobody_translated_is_a_bug_too(isolated):
    with pytest.raises(av.error.FileNotFoundError):
        isolated.call(av.open, "/nowhere/to/be/found")
    assert isolated.call(abs, -3) == 3


def test_a_call_may_take_as_long_as_it_likes(isolated):
    assert isolated.call(abs, -3, timeout_s=math.inf) == 3


def test_a_child_that_died_while_idle_is_replaced(isolated):
    os.kill(isolated.call(os.getpid), signal.SIGKILL)
    assert isolated.call(abs, -3) == 3
    os.kill(isolated.call(os.getpid), signal.SIGKILL)
    time.sleep(0.5)
    assert isolated.call(abs, -3) == 3


def test_a_child_that_has_grown_much_is_replaced():
    keep = "__import__('builtins').__dict__.setdefault('kept', []).append(b'x' * (100 << 20))"
    with Isolated() as children:
        pids = [(children.call(eval, keep), children.call(os.getpid))[1] for _ in range(3)]
    assert pids[0] == pids[1] != pids[2]


@pytest.mark.parametrize(
    "code",
    [
        "bytes(900 << 20)",
        "from videoproc.media import MediaError; raise MediaError('OutOfMemory', 'of FFmpeg')",
    ],
)
def test_a_child_that_ran_out_of_memory_is_replaced(isolated, code):
    pid = isolated.call(os.getpid)
    with pytest.raises(MediaError, match="OutOfMemory"):
        isolated.call(exec, code, {}, max_memory_bytes=1 << 30)
    assert isolated.call(os.getpid) != pid


def test_a_call_that_its_caller_gave_up_does_not_answer_the_next(isolated):
    def give_up(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(KeyboardInterrupt):
        isolated.call(time.sleep, 60)
    signal.signal(signal.SIGALRM, before)
    assert isolated.call(abs, -3) == 3


def test_where_no_child_starts_it_is_nobodys_file_that_is_wrong(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with Isolated() as children, pytest.raises(RuntimeError, match=r"no child .* exit code 1"):
        children.outcome(abs, -3, limits=Limits())


def test_dead_children_leave_no_descriptor():
    with Isolated() as children:
        children.call(abs, -3)
        before = psutil.Process().num_fds()
        for _ in range(5):
            with pytest.raises(MediaError):
                children.call(signal.raise_signal, signal.SIGKILL)
        assert psutil.Process().num_fds() < before
        children.call(abs, -3)
        assert psutil.Process().num_fds() == before


def test_threads_of_a_decoder_take_no_addresses_from_the_next(isolated):
    """malloc would set 64 MiB aside for each, and not give them back."""
    work_together = (
        "import threading\n"
        "together = threading.Barrier(12)\n"
        "work = lambda: (bytes(1000), together.wait())\n"
        "threads = [threading.Thread(target=work) for _ in range(12)]\n"
        "[thread.start() for thread in threads]\n"
        "[thread.join() for thread in threads]\n"
    )
    size_in_pages = "int(open('/proc/self/statm').read().split()[0])"
    before = isolated.call(eval, size_in_pages)
    isolated.call(exec, work_together, {})
    grown_bytes = (isolated.call(eval, size_in_pages) - before) * resource.getpagesize()
    assert grown_bytes < 256 << 20


def test_a_large_result_arrives_whole(isolated):
    array = isolated.call(np.arange, 5_000_000)
    assert (array == np.arange(5_000_000)).all()
    memory = isolated.call(eval, "__import__('pickle').PickleBuffer(bytearray(b'ab' * 10_000_000))")
    assert isinstance(memory, bytes)
    assert memory == b"ab" * 10_000_000


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


def test_whoever_reads_no_further_waits_for_the_call_at_work_alone(tmp_path):
    done = tmp_path / "done"
    with Isolated() as children:
        slow = [f"sleep 0.3; echo >> {done}"] * 9
        results = children.map(os.system, [f"echo >> {done}", *slow])
        next(results)
        results.close()
    assert len(done.read_text()) <= 2


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


def test_a_child_outlives_the_thread_that_first_called_it():
    with Isolated() as children:
        pids = []
        thread = threading.Thread(target=lambda: pids.append(children.call(os.getpid)))
        thread.start()
        thread.join()
        time.sleep(0.05)
        assert children.call(os.getpid) == pids[0]


@pytest.mark.parametrize("busy", ["time.sleep, 60", "signal.raise_signal, signal.SIGSTOP"])
def test_a_child_goes_with_its_parent_whatever_it_does(busy):
    script = (
        "import os, signal, time\n"
        "from videoproc.media.isolate import shared\n"
        "print(shared().call(os.getpid), flush=True)\n"
        f"shared().call({busy})\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert left_after(3, [child]) == []


def test_a_process_that_used_a_child_ends_by_itself():
    script = "import os; from videoproc.media.isolate import shared; shared().call(os.getpid)"
    done = subprocess.run(
        [sys.executable, "-c", script], timeout=20, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timeout_s", 0),
        ("timeout_s", -1),
        ("max_duration_s", 0),
        ("max_memory_bytes", 1000),
        ("max_pixels", 0),
        ("max_frames", -1),
    ],
)
def test_wrong_limits_are_refused(field, value):
    with pytest.raises(ValueError, match=f"{field} is {value}: give"):
        Limits(**{field: value})
