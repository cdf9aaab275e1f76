"""Clusters of three nodes, and what a run without Ray makes, for the tests of this folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import local
from tests.cluster.three_nodes import EXTRACT, Nodes, cluster_in

HERE = Path(__file__).parent
_shared: list[Nodes] = []


@pytest.fixture(scope="session")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """One cluster for all tests of this folder that kill nothing."""
    with cluster_in(tmp_path_factory.mktemp("three") / "workspace") as three:
        _shared.append(three)
        yield three


def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """The shared cluster ends with the folder's last test, not beside the tests of others."""
    if nextitem is None or HERE not in nextitem.path.parents:
        while _shared:
            local.stop_cluster(_shared.pop().workspace)


@pytest.fixture(scope="session")
def one_process(_indexed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small corpus as `extract` makes it without Ray. Read it, never write to it."""
    folder = tmp_path_factory.mktemp("one process")
    data = Path(shutil.copytree(_indexed, folder / "data"))
    alone = Nodes(folder / "workspace")  # of which none is up
    code, said = alone.run("-m", "pipelines.extract", "--data", str(data), *EXTRACT, "--inline")
    assert code == 0, said
    return data
