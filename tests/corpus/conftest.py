"""A small synthetic corpus, written once for all tests of this folder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
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
