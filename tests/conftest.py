"""What every test may ask for: a workspace of its own, real data, a small dataset, a cluster."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import hypothesis
import pytest

from tests.web import Web, serve

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("untimed")

# Before anything imports the stack: nothing of a test reaches a cluster or a store of the user's.
for name in (
    "RAY_ADDRESS",
    "MLFLOW_TRACKING_URI",
    "VIDEOPROC_BASE_DIR",
    "VIDEOPROC_WORKSPACE",
    "VIDEOPROC_ARTIFACTS",
    "VIDEOPROC_STORE_PATIENCE_S",
    *(name for name in os.environ if name.startswith("AWS_")),
):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos, beside the checkout; tests that need it are marked `data`."""
    folder = Path(os.environ.get("VIDEOPROC_SHARED_DATA", SHARED_DATA))
    if not folder.is_dir():
        pytest.skip(f"real videos are not here: {folder} (set VIDEOPROC_SHARED_DATA)")
    return folder


@pytest.fixture(autouse=True)
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test has a workspace of its own, and stands in its own folder."""
    folder = tmp_path / "workspace"
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture(scope="session")
def s3_endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an S3 server on loopback, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    endpoint, log = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("s3") / "log"
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdout=output, stderr=output) as server,
    ):
        try:
            for _ in range(300):
                try:
                    urllib.request.urlopen(endpoint, timeout=5).close()
                    break
                except OSError:
                    assert server.poll() is None, log.read_text()
                    time.sleep(0.1)
            yield endpoint
        finally:
            server.terminate()


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket as `s3://name`; credentials and endpoint stand in the environment alone."""
    import boto3

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test-secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"


@pytest.fixture
def web() -> Iterator[Web]:
    """A web server on loopback, without files."""
    with serve() as server:
        yield server


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic corpus: 36 short videos of 6 classes from 3 sources, and 3 special files.
    Read it, never write to it."""
    from videoproc.corpus.synthetic import SyntheticConfig, synthesize

    folder = tmp_path_factory.mktemp("corpus")
    synthesize(folder, SyntheticConfig(videos=36, num_sources=3, height=48, width=64))
    return folder


@pytest.fixture(scope="session")
def _indexed(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pipelines.index import IndexConfig, index

    folder = tmp_path_factory.mktemp("indexed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(folder / "workspace"))
        index(
            IndexConfig(source=str(corpus / "videos.csv"), layout="csv", data=str(folder / "data"))
        )
    return folder / "data"


@pytest.fixture(scope="session")
def _extracted(_indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from pipelines.extract import ExtractConfig, extract
    from videoproc.media import Sampling, Size

    folder = tmp_path_factory.mktemp("extracted")
    shutil.copytree(_indexed, folder / "data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(folder / "workspace"))
        extract(
            ExtractConfig(
                data=str(folder / "data"),
                sampling=Sampling(num_frames=4),
                size=Size(height=16, width=16),
                inline=True,
            )
        )
    return folder / "data"


@pytest.fixture
def indexed(_indexed: Path, tmp_path: Path) -> Path:
    """A dataset of the small corpus with a manifest only; yours to change."""
    return Path(shutil.copytree(_indexed, tmp_path / "data"))


@pytest.fixture
def extracted(_extracted: Path, tmp_path: Path) -> Path:
    """The same with clips of 4 frames at 16x16 and their features; yours to change."""
    return Path(shutil.copytree(_extracted, tmp_path / "data"))


@pytest.fixture(scope="session")
def group_videos() -> Callable[[Path], Path]:
    """Gives a dataset of the small corpus three groups, each with videos of each label."""
    from videoproc.corpus import manifest
    from videoproc.tables import Dataset

    def group(data: Path) -> Path:
        table = Dataset(folder=data).manifest
        videos = sorted(manifest.from_table(table.read()), key=lambda v: (v.labels, v.uri))
        table.replace(
            manifest.to_table([replace(v, group=f"source {i % 3}") for i, v in enumerate(videos)])
        )
        return data

    return group


@pytest.fixture(scope="session")
def ray_cluster() -> Iterator[None]:
    """A real local Ray cluster of 3 CPUs (more than some machines have), shared by all tests."""
    from videoproc.runtime import session  # isort: skip - before Ray: it sets what Ray reads

    import ray

    ray.init(
        address="local",
        num_cpus=3,
        include_dashboard=False,
        object_store_memory=session.OBJECT_STORE_BYTES,
    )
    yield
    ray.shutdown()
