"""forget: a video leaves every table, and never comes back."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from pipelines import cli
from pipelines.extract import ExtractConfig, extract
from pipelines.forget import ForgetConfig, _clear_reports, forget
from pipelines.index import IndexConfig, index
from pipelines.lineage import LineageConfig, lineage
from pipelines.nightly import NightlyConfig, nightly
from pipelines.predict import PredictConfig, predict
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.masking import masked
from videoproc.report.night import Failure, Night, earlier, save
from videoproc.tables import Dataset, lease
from videoproc.types import UserError


@pytest.fixture
def dataset(videos, tmp_path):
    """Six videos, indexed and extracted."""
    work(videos, tmp_path / "data")
    return Dataset(folder=tmp_path / "data")


def work(videos, data):
    index(IndexConfig(source=str(videos), data=str(data)))
    extract(ExtractConfig(data=str(data), inline=True))


def ids_of(dataset):
    """The video ids of each table's rows."""
    return {
        name: set(table.read(["video_id"])["video_id"].to_pylist())
        for name, table in dataset.tables().items()
        if "video_id" in table.schema.names and name != "forgotten"
    }


def files_with(folder, video_id):
    """The Parquet files, in a table or not, that hold the video."""
    return [
        path
        for path in folder.rglob("*.parquet")
        if path.parent.name != "forgotten"
        and any(
            str(value).startswith(video_id)  # a digest begins with it
            for name in {"video_id", "digest"} & set(pq.read_schema(path).names)
            for value in pq.read_table(path, columns=[name])[name].to_pylist()
        )
    ]


def test_the_video_leaves_every_table_and_all_others_stay(dataset):
    before = ids_of(dataset)
    found = forget(ForgetConfig("walk/0.mp4", data=str(dataset.folder)))
    gone = found.video.video_id
    for name, ids in ids_of(dataset).items():
        assert ids == before[name] - {gone}, name
    uris = dataset.files.read(["uri"])["uri"].to_pylist()
    assert found.video.uri not in uris
    assert len(uris) == 5


def test_it_never_comes_back_under_whatever_name(dataset, videos, capsys):
    gone = forget(ForgetConfig("walk/0.mp4", data=str(dataset.folder))).video.video_id
    shutil.copy(videos / "walk" / "0.mp4", videos / "run" / "another.mp4")
    work(videos, dataset.folder)
    assert all(gone not in ids for ids in ids_of(dataset).values())
    assert "2 files are of videos that were to be forgotten" in capsys.readouterr().out


def test_predictions_go_and_the_models_that_have_seen_it_are_named(trained, tmp_path, capsys):
    data = shutil.copytree(trained.data, tmp_path / "data")
    predict(PredictConfig(data=str(data), run=trained.run_id, inline=True))
    dataset = Dataset(folder=data)
    video = next(v for v in manifest.from_table(dataset.manifest.read()) if v.split == "train")
    assert video.video_id in ids_of(dataset)["predictions/classification"]

    found = forget(ForgetConfig(video.digest, data=str(data)))

    assert video.video_id not in ids_of(dataset)["predictions/classification"]
    assert trained.run_id in [use.run_id for use in found.uses if use.has_learned]
    said = capsys.readouterr().out
    assert f"run {trained.run_id} (train cnn_gru) has learned from it, in split train" in said
    assert "rows of predictions/classification" in said or "row of predictions/" in said


def test_older_versions_hold_it_until_they_are_purged(dataset, capsys):
    found = forget(ForgetConfig("walk/0.mp4", data=str(dataset.folder)))
    gone = found.video.video_id
    assert files_with(dataset.folder, gone)
    assert "of older table versions hold it still" in capsys.readouterr().out

    forget(ForgetConfig("walk/0.mp4", data=str(dataset.folder), purge=True))
    assert files_with(dataset.folder, gone) == []
    assert "no longer readable in full" in capsys.readouterr().out
    assert len(ids_of(dataset)["clips"]) == 5, "all others read as before"
    with pytest.raises(
        UserError, match=rf"video {gone} was forgotten at .* learned from by no run"
    ):
        lineage(LineageConfig(gone, data=str(dataset.folder)))


@pytest.mark.usefixtures("ray_cluster")
def test_reports_lose_its_pictures_here_and_in_mlflow(videos, tmp_path, workspace):
    data = tmp_path / "data"
    nightly(NightlyConfig(source=str(videos), data=str(data), models=()))
    (night,) = earlier(data, most=None)
    assert len(night.pictured) == 6
    run = runlog.open_run(night.run_id, workspace=workspace)
    assert "data:image/jpeg" in run.read_bytes("report.html").decode()

    found = forget(ForgetConfig("walk/0.mp4", data=str(data)))

    (after,) = earlier(data, most=None)
    assert after.pictured == ()
    assert after.clips == night.clips, "its numbers stay"
    (page,) = (data / "nights").glob("*.html")
    for text in (page.read_text(), run.read_bytes("report.html").decode()):
        assert "data:image/jpeg" not in text
    assert found.video.video_id not in run.read_bytes("night.json").decode()


def test_a_report_of_before_addresses_were_masked_loses_the_whole_address(
    dataset,
):
    (first, *_) = manifest.from_table(dataset.manifest.read())
    signed = replace(first, uri="https://host/a.mp4?X-Amz-Signature=5ig5ig")
    for started, uri in (("2026-11-20", signed.uri), ("2026-11-21", masked(signed.uri))):
        failure = Failure(
            stage="decode", error_class="Broken", count=1, message="no video", example_uri=uri
        )
        night = Night(started=started, dataset="d", code_version="1", failures=(failure,))
        save(dataset.folder, night, "page")
    assert _clear_reports(dataset, signed) == 2
    for night in earlier(dataset.folder, most=None):
        assert "(forgotten)" in night.to_json()
        assert "host" not in night.to_json()
        assert "5ig" not in night.to_json()


def test_while_a_night_works_nothing_is_deleted(dataset):
    before = ids_of(dataset)
    with (
        lease.hold(dataset.lease, job="nightly"),
        pytest.raises(cli.JobError, match=r"somebody works on .*nightly"),
    ):
        forget(ForgetConfig("walk/0.mp4", data=str(dataset.folder)))
    assert ids_of(dataset) == before
