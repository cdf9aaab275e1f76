"""vacuum: what is deleted, and whose versions are kept."""

from __future__ import annotations

import pytest

from pipelines.extract import ExtractConfig, extract
from pipelines.index import IndexConfig, index
from pipelines.vacuum import VacuumConfig, vacuum
from videoproc import runlog
from videoproc.tables import Dataset
from videoproc.types import UserError


@pytest.fixture
def dataset(videos, tmp_path):
    """A dataset of three nights, in the second of which a video came and in the third one went."""
    dataset = Dataset(folder=tmp_path / "data")
    for change in (lambda: None, lambda: None, (videos / "walk" / "0.mp4").unlink):
        change()
        index(IndexConfig(source=str(videos), data=str(dataset.folder)))
        extract(ExtractConfig(data=str(dataset.folder), inline=True))
    return dataset


def orphan(dataset):
    """A shard that was never committed."""
    path = dataset.clips.folder / "part-0123.parquet"
    path.write_bytes(b"never committed")
    return path


def test_orphans_go_and_every_version_that_a_run_names_still_reads(dataset, workspace):
    path = orphan(dataset)
    assert vacuum(VacuumConfig(data=str(dataset.folder), min_age_hours=0)) >= 1
    assert not path.exists()
    named = runlog.named_versions(dataset.folder, workspace)
    assert len(named["clips"]) == 2
    for name, versions in named.items():
        for version in versions:
            assert dataset.tables()[name].read(version=version).num_rows


def test_young_files_stay_since_a_job_may_be_about_to_commit_them(dataset):
    path = orphan(dataset)
    assert vacuum(VacuumConfig(data=str(dataset.folder))) == 0
    assert path.exists()


def test_a_dry_run_deletes_nothing(dataset, capsys):
    orphan(dataset)
    before = sorted(dataset.folder.rglob("*"))
    assert vacuum(VacuumConfig(data=str(dataset.folder), min_age_hours=0, dry_run=True))
    assert sorted(dataset.folder.rglob("*")) == before
    assert "would go" in capsys.readouterr().out


def test_with_an_mlflow_that_knows_no_run_of_the_dataset_nothing_is_deleted(
    dataset, tmp_path, monkeypatch
):
    before = {v: dataset.clips.read(version=v) for v in range(dataset.clips.version + 1)}
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(tmp_path / "another"))
    with pytest.raises(UserError, match=r"knows no run of .*data: set VIDEOPROC_WORKSPACE"):
        vacuum(VacuumConfig(data=str(dataset.folder), min_age_hours=0))
    for version, rows in before.items():
        assert dataset.clips.read(version=version).equals(rows)
    assert vacuum(VacuumConfig(data=str(dataset.folder), min_age_hours=0, no_runs=True))
