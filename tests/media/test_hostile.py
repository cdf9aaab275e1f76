"""Files made to break decoders: each costs itself only, within its limits, and says why."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest

from tests.media.helpers import NUM_FRAMES, SPANS, encode, encode_originals, left_after
from videoproc.corpus.examine import examine
from videoproc.media import Limits, MediaError, Sampling, Size, decode_clips
from videoproc.media.isolate import Isolated, shared
from videoproc.media.step import _read_rows
from videoproc.types import Row

pytestmark = pytest.mark.slow

MUTANTS_OF_EACH = 600
SAMPLING, SIZE = Sampling(num_frames=4), Size(height=24, width=32)
LIMITS = Limits(timeout_s=10, max_memory_bytes=1 << 30)
CHILD = "isolate._serve"


@pytest.fixture
def originals(tmp_path: Path, moving_picture) -> list[Path]:
    folder = tmp_path / "originals"
    folder.mkdir()
    return encode_originals(folder, moving_picture)


def rows_of(path: Path, *, limits: Limits = LIMITS) -> list[Row]:
    decode = decode_clips(sampling=SAMPLING, size=SIZE, limits=limits)
    return list(decode({"uri": str(path), "spans": SPANS}))


def fate_of_rows(path: Path, *, limits: Limits = LIMITS) -> str:
    """ "clips", or the class of the error, which the last row says; those before are whole."""
    rows = rows_of(path, limits=limits)
    clips = [row for row in rows if not row["error_class"]]
    for row in clips:
        assert len(row["frames"]) == np.prod(row["shape"]) == 4 * 24 * 32 * 3
    if len(clips) == len(rows):
        assert len(rows) == len(SPANS)
        return "clips"
    assert clips == rows[:-1]
    assert (rows[-1]["clip_index"], rows[-1]["stage"]) == (-1, "decode")
    assert rows[-1]["message"]
    return rows[-1]["error_class"]


def fate_of_header(path: Path) -> str:
    outcome = shared().outcome(examine, str(path), limits=LIMITS)
    if isinstance(outcome, MediaError):
        return outcome.error_class
    assert (outcome.header is None) != (outcome.error is None)
    return "header" if outcome.header else str(outcome.error).partition(":")[0]


class Held:
    """What this process holds: children, descriptors, memory."""

    def __init__(self) -> None:
        shared().call(abs, 1)  # one that was ended is there again at the next call
        me = psutil.Process()
        self.children = len(me.children(recursive=True))
        self.descriptors = me.num_fds()
        self.rss_bytes = me.memory_info().rss

    def check_that_nothing_stayed(self, before: Held) -> None:
        assert self.children == before.children
        assert self.descriptors == before.descriptors
        assert self.rss_bytes < before.rss_bytes + (64 << 20)


# The mutator: half of the positions are drawn from the header, where sizes and counts are.


def mutate(data: bytes, rng: random.Random) -> bytes:
    mutant = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4])):
        rng.choice([flip_bytes, alter_field, zero_range, swap_blocks, cut, drop_range])(mutant, rng)
    return bytes(mutant)


def somewhere(data: bytearray, rng: random.Random) -> int:
    return rng.randrange(min(len(data), 600) if rng.random() < 0.5 else len(data))


def flip_bytes(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice([1, 8, 64])):
        data[somewhere(data, rng)] ^= rng.randrange(1, 256)


def alter_field(data: bytearray, rng: random.Random) -> None:
    """A size, count or dimension of 2 or 4 bytes, in either order of bytes, becomes extreme."""
    form = rng.choice([">H", "<H", ">I", "<I"])
    most = 256 ** struct.calcsize(form) - 1
    field = struct.pack(form, rng.choice([0, 1, 30_000, most, most // 2, most // 2 + 1]))
    at = somewhere(data, rng)
    data[at : at + len(field)] = field


def zero_range(data: bytearray, rng: random.Random) -> None:
    at, size = somewhere(data, rng), rng.choice([4, 64, 1024])
    data[at : at + size] = bytes(len(data[at : at + size]))


def swap_blocks(data: bytearray, rng: random.Random) -> None:
    size = rng.choice([4, 32, 256])
    a, b = (rng.randrange(max(1, len(data) - size)) for _ in range(2))
    if abs(a - b) >= size:
        data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def cut(data: bytearray, rng: random.Random) -> None:
    del data[max(1, somewhere(data, rng)) :]


def drop_range(data: bytearray, rng: random.Random) -> None:
    at = somewhere(data, rng)
    del data[at : min(at + rng.choice([1, 16, 512]), len(data) - 1)]


@pytest.mark.timeout(900)
def test_thousands_of_mutants_end_as_clips_or_as_rows_that_say_why(originals, tmp_path):
    rng = random.Random(0)
    assert [fate_of_rows(path) for path in originals] == ["clips"] * len(originals)
    before, child = Held(), shared().call(os.getpid)
    fates, headers, took_s = Counter[str](), Counter[str](), dict[str, float]()
    for path in originals:
        data, mutant = path.read_bytes(), tmp_path / f"mutant{path.suffix}"
        for number in range(MUTANTS_OF_EACH):
            mutant.write_bytes(mutate(data, rng))
            started = time.monotonic()
            fates[fate_of_rows(mutant)] += 1
            headers[fate_of_header(mutant)] += 1
            took_s[f"{path.name} {number}"] = time.monotonic() - started
    print(f"clips: {dict(fates)}\nheaders: {dict(headers)}")
    print(
        f"same child: {child == shared().call(os.getpid)}; slowest, s: {max(took_s.values()):.2f}"
    )
    assert fates.total() == headers.total() == MUTANTS_OF_EACH * len(originals)
    assert 0 < fates["clips"] < fates.total()
    Held().check_that_nothing_stayed(before)
    assert [fate_of_rows(path) for path in originals] == ["clips"] * len(originals)


# Bombs


def patched(path: Path, found: bytes, *, offset: int, field: bytes) -> Path:
    """The file with `field` written so far behind each place where `found` stands."""
    data = path.read_bytes()
    assert found in data
    at = -1
    while (at := data.find(found, at + 1)) >= 0:
        data = data[: at + offset] + field + data[at + offset + len(field) :]
    path.write_bytes(data)
    return path


def gif_30000(folder: Path, frames: Iterator[np.ndarray]) -> Path:
    path = encode(folder / "bomb.gif", frames, codec="gif")
    return patched(path, b"GIF89a", offset=6, field=struct.pack("<HH", 30_000, 30_000))


def gif_of_a_gigabyte(folder: Path, frames: Iterator[np.ndarray]) -> Path:
    """About as much as FFmpeg lets a picture have."""
    path = encode(folder / "bomb.gif", frames, codec="gif")
    return patched(path, b"GIF89a", offset=6, field=struct.pack("<HH", 16_000, 16_000))


def png_30000(folder: Path, frames: Iterator[np.ndarray]) -> Path:
    path = encode(folder / "bomb.mov", frames, codec="png")
    return patched(path, b"IHDR", offset=4, field=struct.pack(">II", 30_000, 30_000))


def jpeg_30000(folder: Path, frames: Iterator[np.ndarray]) -> Path:
    path = encode(folder / "bomb.avi", frames, codec="mjpeg")
    return patched(path, b"\xff\xc0", offset=5, field=struct.pack(">HH", 30_000, 30_000))


def honest_mp4(folder: Path, frames: Iterator[np.ndarray]) -> Path:
    return encode(folder / "honest.mp4", frames, codec="mpeg4")


def mp4_of_a_million_frames(folder: Path, frames: Iterator[np.ndarray]) -> Path:
    return mp4_that_claims(folder, frames, num_frames=1_000_000)


def mp4_of_four_billion_frames(folder: Path, frames: Iterator[np.ndarray]) -> Path:
    return mp4_that_claims(folder, frames, num_frames=2**32 - 1)


def mp4_that_claims(folder: Path, frames: Iterator[np.ndarray], *, num_frames: int) -> Path:
    """Samples of one byte each, all in the first chunk, a tick apart."""
    path = encode(folder / "bomb.mp4", frames, codec="mpeg4")
    patched(path, b"stts", offset=12, field=struct.pack(">II", num_frames, 1))
    patched(path, b"stsz", offset=8, field=struct.pack(">II", 1, num_frames))
    return patched(path, b"stsc", offset=16, field=struct.pack(">I", num_frames))


@pytest.mark.parametrize(
    "bomb",
    [
        gif_30000,
        gif_of_a_gigabyte,
        png_30000,
        jpeg_30000,
        mp4_of_a_million_frames,
        mp4_of_four_billion_frames,
    ],
)
def test_a_bomb_is_a_row_within_its_limits(tmp_path, moving_picture, bomb):
    path = bomb(tmp_path, moving_picture(NUM_FRAMES))
    assert path.stat().st_size < 500_000
    before, started = Held(), time.monotonic()
    fates = fate_of_rows(path), fate_of_header(path)
    print(f"{bomb.__name__}: {fates}, {time.monotonic() - started:.2f} s")
    assert "clips" not in fates
    assert "Crash" not in fates
    Held().check_that_nothing_stayed(before)


@pytest.mark.parametrize(
    ("make", "limits", "expected"),
    [
        (gif_of_a_gigabyte, Limits(max_memory_bytes=1 << 30, max_pixels=1 << 30), "OutOfMemory"),
        (gif_of_a_gigabyte, Limits(), "TooLarge"),
        (honest_mp4, Limits(max_frames=NUM_FRAMES - 1), "TooLarge"),
        (honest_mp4, Limits(max_pixels=64 * 48 - 1), "TooLarge"),
        (honest_mp4, Limits(max_frames=NUM_FRAMES), "clips"),
    ],
)
def test_each_limit_is_kept(tmp_path, moving_picture, make, limits, expected):
    path = make(tmp_path, moving_picture(NUM_FRAMES))
    assert fate_of_rows(path, limits=limits) == expected


# Injections. Who reads of a server that falls silent waits in the middle of the file.


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address_of(server: socket.socket) -> str:
    return f"http://127.0.0.1:{server.getsockname()[1]}/endless.mp4"


@pytest.fixture
def neighbours(tmp_path: Path, moving_picture) -> list[Path]:
    path = encode(
        tmp_path / "0.mp4", moving_picture(1500, height=48, width=192), codec="libx264", bf="2"
    )
    paths = [path, *(tmp_path / f"{i}.mp4" for i in range(1, 8))]
    for other in paths[1:]:
        other.write_bytes(path.read_bytes())
    return paths


LONG_SPANS = [(2.0 * i, 2.0 * i + 2) for i in range(30)]


def children_below() -> dict[int, psutil.Process]:
    found = {}
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            if CHILD in " ".join(process.cmdline()):
                found[process.pid] = process
    return found


def reader_of(server: socket.socket) -> psutil.Process:
    """The child that is connected to the server."""
    for process in children_below().values():
        with contextlib.suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                if connection.raddr == server.getsockname():
                    return process
    raise AssertionError("nobody reads of the server")


class Injection(threading.Thread):
    """Answers with a first few bytes, then does `strike` to the process that reads them."""

    def __init__(self, server: socket.socket, strike) -> None:
        super().__init__(daemon=True)
        self.server, self.strike, self.neighbours = server, strike, 0
        self.is_over = threading.Event()

    def run(self) -> None:
        connection, _ = self.server.accept()
        with connection:
            connection.recv(1 << 16)
            connection.sendall(
                b"HTTP/1.1 206 Partial Content\r\nContent-Length: 262144\r\n"
                b"Content-Range: bytes 0-262143/1000000\r\n\r\n\0\0\0\x18ftypisom"
            )
            victim = reader_of(self.server)
            self.neighbours = len(children_below()) - 1
            self.strike(victim)
            self.is_over.wait()


@pytest.mark.parametrize(
    ("signal_number", "error_class"),
    # Who was killed begins again, and nobody answers then.
    [(signal.SIGSEGV, "Crash"), (signal.SIGKILL, "Timeout"), (signal.SIGSTOP, "Timeout")],
)
def test_neighbours_of_a_decoder_that_is_struck_are_untouched(
    silent, neighbours, signal_number, error_class
):
    read = partial(
        _read_rows,
        sampling=SAMPLING,
        size=SIZE,
        spans=LONG_SPANS,
        limits=LIMITS,
        accept=None,
        size_bytes=None,
        roots=None,
    )
    undisturbed = read(str(neighbours[0])).rows
    endless = address_of(silent)
    uris = [str(path) for path in [*neighbours[:3], endless, *neighbours[3:]]]
    injection = Injection(silent, lambda victim: victim.send_signal(signal_number))
    injection.start()
    before = Held()
    with Isolated(max_workers=4) as children:
        outcomes = dict(children.map(read, uris, limits=Limits(timeout_s=5)))
    injection.is_over.set()
    injection.join()
    assert injection.neighbours >= 3
    struck = outcomes.pop(endless)
    assert isinstance(struck, MediaError)
    assert struck.error_class == error_class
    expected = [row | {"frames": bytes(row["frames"])} for row in undisturbed]
    assert len(outcomes) == len(neighbours)
    for outcome in outcomes.values():
        assert outcome.rows == expected
    assert Held().children == before.children


def digesting_sink():
    # Made inside a function, so that it travels to Ray's workers by value.
    def sink(batch):
        import hashlib

        import pyarrow as pa

        frames = batch["frames"].to_pylist()
        digests = [hashlib.sha256(data).hexdigest() for data in frames]
        columns = ["uri", "clip_index", "error_class"]
        return batch.select(columns).append_column("digest", pa.array(digests))

    return sink


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("target", ["child", "worker"])
def test_on_ray_neighbours_are_untouched_and_no_child_outlives_its_worker(
    silent, neighbours, target, monkeypatch
):
    from videoproc.runtime.dataflow import Named, run

    monkeypatch.setenv("VIDEOPROC_STORE_PATIENCE_S", "0")

    decode = decode_clips(sampling=SAMPLING, size=SIZE, limits=Limits(timeout_s=8))
    spans = [
        {"clip_index": i, "start_s": start_s, "end_s": end_s}
        for i, (start_s, end_s) in enumerate(LONG_SPANS)
    ]
    rows = [{"uri": str(path), "spans": spans} for path in neighbours]
    steps, sink = [Named("decode", decode)], digesting_sink()
    undisturbed = sorted(map(tuple_of, run(rows, steps=steps, sink=sink, inline=True)))

    outlived = []

    def strike(victim: psutil.Process) -> None:
        if target == "child":
            victim.send_signal(signal.SIGSEGV)
            return
        victim.parent().kill()
        outlived.extend(left_after(2, [victim]))

    endless = address_of(silent)
    injection = Injection(silent, strike)
    injection.start()
    disturbed = [*rows[:3], {"uri": endless, "spans": spans}, *rows[3:]]
    receipts = sorted(map(tuple_of, run(disturbed, steps=steps, sink=sink)))
    injection.is_over.set()
    injection.join()
    assert outlived == []
    struck = [receipt for receipt in receipts if receipt[0] == endless]
    # Ray runs the task of a worker that was killed again: then nobody strikes, and time runs out.
    assert [receipt[1:3] for receipt in struck] == [
        (-1, {"child": "Crash", "worker": "Timeout"}[target])
    ]
    assert [receipt for receipt in receipts if receipt not in struck] == undisturbed


def tuple_of(receipt: Row) -> tuple[str, int, str, str]:
    return receipt["uri"], receipt["clip_index"], receipt["error_class"], receipt["digest"]
