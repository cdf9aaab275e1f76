"""A store in each workspace, a real MLflow server that tests may kill, processes of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.entities import Run as MlflowRun

from videoproc import runlog
from videoproc.runlog import store

STARTS_WITHIN_S = 60
ROOT = Path(__file__).resolve().parents[2]

JobRun = Callable[..., AbstractContextManager[runlog.Run]]
Back = Callable[[], "Server"]
Python = Callable[..., "subprocess.Popen[str]"]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def wait_until_it_answers(url: str, process: subprocess.Popen[Any]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the server of {url} has ended"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"{url} does not answer")


@dataclass
class Server:
    """`mlflow server` on loopback, on SQLite; it keeps its port and all it holds when killed."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def client(self) -> mlflow.MlflowClient:
        return mlflow.MlflowClient(self.uri)

    def start(self) -> None:
        if self.process is not None:
            return
        options = {
            "host": "127.0.0.1",
            "port": self.port,
            "backend-store-uri": f"sqlite:///{self.folder / 'mlflow.db'}",
            "artifacts-destination": self.folder / "artifacts",
            "workers": 1,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mlflow", "server"]
            + [f"--{name}={value}" for name, value in options.items()],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        wait_until_it_answers(f"{self.uri}/health", self.process)

    def kill(self) -> None:
        """As a machine that loses its power."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def runs(self, data: Path) -> list[MlflowRun]:
        """All runs of a dataset, the newest first."""
        experiments = store.named_experiments(self.client, store.experiments_of(data.name))
        return list(store.search(self.client, experiments))


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow takes seconds to make its tables: once for all tests."""
    folder = tmp_path_factory.mktemp("store")
    runlog.find_run(data=Path("none"), workspace=folder, tags={})
    return folder / "mlflow.db"


@pytest.fixture(autouse=True)
def _store(workspace: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for place in (workspace, workspace / "journal"):
        place.mkdir()
        (place / "mlflow.db").write_bytes(empty_store.read_bytes())
    monkeypatch.delenv("VIDEOPROC_ARTIFACTS", raising=False)
    monkeypatch.setattr(store, "AWAY_S", 0.0)  # a server that is back is seen at once


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(empty_store.read_bytes())
    server = Server(folder)
    yield server
    server.kill()


@pytest.fixture
def server(_server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that answers, and to which runs go; yours to kill."""
    _server.start()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", _server.uri)
    return _server


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> str:
    """A server that does not answer, and to which runs go; its address."""
    uri = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    return uri


@pytest.fixture
def back(away: str, _server: Server, monkeypatch: pytest.MonkeyPatch) -> Back:
    """The server is away until this is called; then it answers, at another port."""

    def come() -> Server:
        assert _server.uri != away
        _server.start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", _server.uri)
        return _server

    return come


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A dataset of a name of its own: all tests share the server."""
    return tmp_path / f"night-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def job_run(data: Path, workspace: Path) -> JobRun:
    """`runlog.job_run` of a train job on the dataset; `job_run("index", parent=...)`."""

    def open_one(
        job: str = "train", *, config: Mapping[str, Any] | None = None, **asked: Any
    ) -> Any:
        return runlog.job_run(job, data=data, workspace=workspace, config=config or {}, **asked)

    return open_one


def failed_run(job_run: JobRun) -> runlog.Run:
    """A run whose job has raised after its first metric."""
    with suppress(RuntimeError), job_run(config={"a": 1}) as run:
        run.log_metrics({"loss": 2.0}, step=0)
        raise RuntimeError
    return run


@pytest.fixture
def python(tmp_path: Path, workspace: Path, data: Path) -> Iterator[Python]:
    """Starts a script in a process of its own, with `workspace`, `data` and `runlog` at hand."""
    started: list[subprocess.Popen[str]] = []
    head = (
        "from pathlib import Path\nfrom videoproc import runlog\n"
        f"workspace, data = Path({str(workspace)!r}), Path({str(data)!r})\n"
    )

    def start(script: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", head + script],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()
