"""Clusters of three nodes, and what a run without Ray makes, for the tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.three_nodes import EXTRACT, Nodes, cluster_in


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    with cluster_in(tmp_path_factory.mktemp("three") / "workspace") as three:
        yield three


@pytest.fixture(scope="module")
def one_process(_indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus as `extract` makes it without Ray. Read it, never write to it."""
    folder = tmp_path_factory.mktemp("one process")
    data = Path(shutil.copytree(_indexed, folder / "data"))
    alone = Nodes(folder / "workspace")  # of which none is up
    code, said = alone.run("-m", "pipelines.extract", "--data", str(data), *EXTRACT, "--inline")
    assert code == 0, said
    return data
