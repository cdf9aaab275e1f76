"""index writes one row a video, says what is wrong, and writes nothing new when nothing is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipelines.index import IndexConfig, index
from videoproc.corpus.splits import SplitConfig
from videoproc.tables import Dataset
from videoproc.types import UserError


@pytest.fixture
def run_index(videos, tmp_path):
    def run(**options):
        options = {"source": str(videos), "data": str(tmp_path / "data"), "processes": 2} | options
        index(IndexConfig(**options))
        return Dataset(folder=tmp_path / "data")

    return run


def test_every_video_gets_a_row_with_its_header(run_index):
    rows = run_index().manifest.read().to_pylist()
    assert [row["labels"] for row in rows].count(["walk"]) == 3
    assert {(row["width"], row["height"], row["num_frames"]) for row in rows} == {(48, 48, 24)}


def test_an_unchanged_corpus_makes_no_new_version(run_index):
    version = run_index().manifest.version
    assert run_index().manifest.version == version


def test_a_new_video_comes_in_and_a_deleted_one_goes(run_index, videos, write_small):
    run_index()
    (videos / "walk" / "0.mp4").unlink()
    write_small(videos / "walk" / "9.mp4", 9)
    names = [uri.rpartition("/")[2] for uri in run_index().manifest.read()["uri"].to_pylist()]
    assert sorted(names) == ["1.mp4", "2.mp4", "3.mp4", "4.mp4", "5.mp4", "9.mp4"]


def test_a_broken_file_is_quarantined_until_it_is_mended(run_index, videos, write_small):
    bad = videos / "walk" / "bad.mp4"
    bad.write_bytes(b"no video")
    (row,) = run_index().quarantine.read().to_pylist()
    assert (row["uri"], row["stage"], row["error_class"]) == (str(bad), "index", "InvalidDataError")
    write_small(bad, 7)
    assert run_index().quarantine.read().num_rows == 0


def test_two_files_of_the_same_bytes_are_one_video(run_index, videos, capsys):
    shutil.copy(videos / "walk" / "0.mp4", videos / "walk" / "copy.mp4")
    assert run_index().manifest.read().num_rows == 6
    assert "copy.mp4 has the bytes of" in capsys.readouterr().out


def test_an_unknown_layout_is_named_beside_those_there_are(run_index):
    with pytest.raises(UserError, match="no layout 'zip'; there are folder, csv"):
        run_index(layout="zip")


def test_a_corpus_without_a_readable_video_leaves_the_manifest_as_it_was(
    run_index, videos, tmp_path
):
    version = run_index().manifest.version
    for path in videos.rglob("*.mp4"):
        path.write_bytes(b"no video " + path.name.encode())
    with pytest.raises(UserError, match="no readable video among its 6 files"):
        run_index()
    assert Dataset(folder=tmp_path / "data").manifest.version == version


def test_a_corpus_without_labels_has_splits_all_the_same(run_index, videos, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    for number, path in enumerate(sorted(videos.rglob("*.mp4"))):
        shutil.copy(path, flat / f"{number}.mp4")
    rows = run_index(source=str(flat)).manifest.read().to_pylist()
    assert {row["split"] for row in rows} == {"train", "val", "test"}
    assert all(row["labels"] == [] for row in rows)


def test_a_name_that_is_no_text_costs_that_file_only(run_index, videos):
    shutil.copy(videos / "walk" / "0.mp4", bytes(videos / "walk") + b"/caf\xe9.mp4")
    dataset = run_index()
    assert dataset.manifest.read().num_rows == 7
    (row,) = dataset.quarantine.read().to_pylist()
    assert row["uri"].endswith("caf\\xe9.mp4")


def test_labels_corrected_at_once_are_no_disk_that_is_not_mounted(videos, tmp_path):
    """Of six videos five have another label, and one is gone."""
    data = tmp_path / "data"
    index(IndexConfig(source=str(videos), data=str(data)))
    (videos / "walk").rename(videos / "stroll")
    (videos / "run").rename(videos / "race")
    (videos / "race" / "1.mp4").unlink()
    changes = index(IndexConfig(source=str(videos), data=str(data))).changes
    assert (len(changes.deleted), changes.unchanged) == (1, 0)


def test_a_corpus_that_is_mostly_gone_stops_the_job_and_nothing_is_changed(videos, tmp_path):
    data = tmp_path / "data"
    index(IndexConfig(source=str(videos), data=str(data)))
    shutil.rmtree(videos / "walk")
    (videos / "run" / "1.mp4").unlink()
    with pytest.raises(UserError, match=r"4 of 6 known videos are no longer in .* mounted\?"):
        index(IndexConfig(source=str(videos), data=str(data)))
    assert Dataset(folder=data).manifest.read().num_rows == 6


@pytest.fixture
def grouped(videos, tmp_path):
    """A dataset whose splits keep the numbers 0 to 2 and 3 to 5 together."""
    data = tmp_path / "data"
    split = SplitConfig(train=0.5, val=0.5, test=0.0, group="/([0-2]|[3-5])[.]mp4")
    config = IndexConfig(source=str(videos), data=str(data), split=split)
    index(config)
    return config


def test_a_forgotten_group_is_refused_before_it_tears_the_splits_apart(grouped):
    before = Dataset(folder=Path(grouped.data)).manifest.read()
    with pytest.raises(UserError, match=r"split.group is none, .* was made with .*--resplit"):
        index(IndexConfig(source=grouped.source, data=grouped.data))
    assert Dataset(folder=Path(grouped.data)).manifest.read().equals(before)
    split = SplitConfig()
    index(IndexConfig(source=grouped.source, data=grouped.data, split=split, resplit=True))


def test_without_a_source_index_looks_again_at_the_last_one(grouped, videos, write_small):
    before = Dataset(folder=Path(grouped.data)).manifest.read()
    assert index(IndexConfig(data=grouped.data)).changes.unchanged == 6
    assert Dataset(folder=Path(grouped.data)).manifest.read().equals(before)
    write_small(videos / "walk" / "5.mp4", 50)
    (new,) = index(IndexConfig(data=grouped.data)).changes.new
    assert new.group == "5"


def test_without_a_source_and_without_a_last_one_the_user_is_told(tmp_path):
    with pytest.raises(UserError, match=r"has no index\.json: give --source"):
        index(IndexConfig(data=str(tmp_path / "data")))
