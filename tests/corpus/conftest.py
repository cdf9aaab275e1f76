"""A small synthetic corpus, written once for all tests of this folder, and an object store."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from videoproc.corpus.synthetic import SyntheticConfig, synthesize
from videoproc.types import Video

SMALL = SyntheticConfig(videos=12, num_sources=2, height=48, width=64, duration_s=1.0)


@pytest.fixture(scope="session")
def small_config() -> SyntheticConfig:
    return SMALL


@pytest.fixture(scope="session")
def small_corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("synthetic") / "corpus"
    synthesize(output, SMALL)
    return output


@pytest.fixture(scope="session")
def make_video() -> Callable[..., Video]:
    """A manifest row that no file stands behind."""

    def make(uri: str, *, label: str | None = None, **known: Any) -> Video:
        digest = hashlib.sha256(uri.encode()).hexdigest()
        labels = () if label is None else (label,)
        return Video(
            video_id=digest[:32],
            digest=digest,
            uri=uri,
            size_bytes=1,
            num_frames=24,
            **{"labels": labels} | known,
        )

    return make


@pytest.fixture(scope="session")
def _store() -> Iterator[tuple[str, Iterator[int]]]:
    """The address of an S3 server of this process, and numbers for its buckets."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}", itertools.count()
    server.stop()


@pytest.fixture
def bucket(_store: tuple[str, Iterator[int]], monkeypatch: pytest.MonkeyPatch) -> str:
    """s3://..., an empty bucket; the environment says where its server is."""
    import boto3

    endpoint, numbers = _store
    for name, value in {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    name = f"corpus-{next(numbers)}"
    boto3.client("s3").create_bucket(Bucket=name)
    return f"s3://{name}"
