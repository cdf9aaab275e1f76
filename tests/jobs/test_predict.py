"""predict: a row for every clip of every readable video, once, and pictures of a few."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipelines.evaluate import EvaluateConfig, evaluate
from pipelines.extract import ExtractConfig, extract
from pipelines.forget import ForgetConfig, forget
from pipelines.predict import PredictConfig, predict
from pipelines.predict_pictures import MOVING, SHEET
from videoproc import runlog
from videoproc.learning.trained import Trained, read_trained
from videoproc.tables import Dataset, FrameFormat, Table
from videoproc.tasks import select_task
from videoproc.types import Row, UserError


def table_of(data: Path) -> Table:
    columns = select_task("classification").outputs.COLUMNS
    return Dataset(folder=data).predictions(task="classification", columns=columns)


def run_predict(data: Path, trained, *, inline: bool = True) -> dict[str, Row]:
    """Predictions by video (each of these has one clip)."""
    predict(PredictConfig(data=str(data), run=trained.run_id, inline=inline, batch_size=5))
    rows = table_of(data).read().to_pylist()
    assert len({row["video_id"] for row in rows}) == len(rows)
    return {row["video_id"]: row for row in rows}


def readable(data: Path) -> dict[str, Row]:
    rows = Dataset(folder=data).manifest.read().to_pylist()
    return {row["video_id"]: row for row in rows if row["error"] is None}


def run_of(data: Path, trained) -> runlog.Run:
    """The run of predict over a dataset."""
    import mlflow

    client = mlflow.MlflowClient(runlog.tracking_uri(trained.workspace))
    experiment = client.get_experiment_by_name(f"{data.name}-processing")
    wanted = f"tags.job = 'predict' and tags.data = '{data}'"
    (found,) = client.search_runs([experiment.experiment_id], wanted)
    return runlog.open_run(found.info.run_id, workspace=trained.workspace)


def extremes(rows: Iterable[Row], *, count: int) -> list[str]:
    """The videos of the most and the least confident predictions."""
    ranked = sorted(rows, key=lambda row: (-row["probability"], row["clip_id"]))
    return sorted(row["video_id"] for row in [*ranked[:count], *ranked[-count:]])


@pytest.fixture
def half_extracted(extracted: Path) -> Path:
    """A dataset some of whose videos have no clip in the table."""
    dataset = Dataset(folder=extracted)
    for video_id in sorted(readable(extracted))[::3]:
        dataset.clips.delete("video_id", [video_id])
    return extracted


def test_every_clip_has_one_row_with_probabilities_span_and_video(trained, extracted: Path) -> None:
    rows, videos = run_predict(extracted, trained), readable(extracted)
    assert rows.keys() == videos.keys()
    for video_id, row in rows.items():
        assert sum(row["probabilities"]) == pytest.approx(1, abs=1e-5)
        best = max(zip(row["probabilities"], row["classes"], strict=True))
        assert (row["probability"], row["label"]) == best
        assert row["start_s"] == 0
        assert row["end_s"] == pytest.approx(videos[video_id]["duration_s"])
        assert row["run_id"] == trained.run_id


def test_predictions_on_the_test_split_have_the_accuracy_that_evaluate_finds(
    trained, extracted: Path
) -> None:
    measured = evaluate(EvaluateConfig(data=str(extracted), run=trained.run_id))
    rows = run_predict(extracted, trained)
    in_split = [v for v in readable(extracted).values() if v["split"] == "test"]
    hits = [[rows[video["video_id"]]["label"]] == video["labels"] for video in in_split]
    assert sum(hits) / len(hits) == pytest.approx(measured["test/accuracy"])


def test_videos_that_are_not_extracted_are_decoded_to_the_same_answers(
    trained, extracted: Path, tmp_path: Path
) -> None:
    manifest_only = Dataset(folder=tmp_path / "manifest only")
    manifest_only.manifest.replace(Dataset(folder=extracted).manifest.read())
    decoded = run_predict(manifest_only.folder, trained)
    stored = run_predict(extracted, trained)
    assert decoded.keys() == stored.keys()
    for video_id, row in decoded.items():
        assert row["probabilities"] == pytest.approx(stored[video_id]["probabilities"], abs=1e-5)


def test_a_model_of_jpeg_clips_gives_stored_and_decoded_videos_the_same_answers(
    trained, log_untrained, extracted: Path, tmp_path: Path
) -> None:
    manifest_only = Dataset(folder=tmp_path / "manifest only")
    manifest_only.manifest.replace(Dataset(folder=extracted).manifest.read())
    recipe = replace(
        Dataset(folder=extracted).recipe, frames=FrameFormat(encoding="jpeg", quality=10)
    )
    of_jpeg = replace(trained, run_id=log_untrained(recipe=recipe))
    decoded = run_predict(manifest_only.folder, of_jpeg)
    settings = {"sampling": recipe.sampling, "size": recipe.size, "frames": recipe.frames}
    extract(ExtractConfig(data=str(extracted), inline=True, **settings))
    stored = run_predict(extracted, of_jpeg)
    assert decoded.keys() == stored.keys()
    for video_id, row in decoded.items():
        assert row["probabilities"] == pytest.approx(stored[video_id]["probabilities"], abs=1e-6)


@pytest.mark.usefixtures("ray_cluster")
def test_stored_clips_are_read_and_missing_ones_decoded_on_ray(
    trained, half_extracted: Path
) -> None:
    before = Dataset(folder=half_extracted).clips.version
    rows = run_predict(half_extracted, trained, inline=False)
    assert rows.keys() == readable(half_extracted).keys()
    assert Dataset(folder=half_extracted).clips.version == before
    assert run_of(half_extracted, trained).read_json(runlog.PICTURED) == extremes(
        rows.values(), count=8
    )


@pytest.mark.usefixtures("ray_cluster")
def test_workers_need_no_checkpoint_on_their_disk(
    trained, extracted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_once(folder: Path) -> Trained:
        read = read_trained(folder)
        folder.rename(folder.with_name("gone"))
        return read

    monkeypatch.setattr("pipelines.predict.read_trained", read_once)
    copied = extracted.parent / "checkpoint"
    best = runlog.open_run(trained.run_id, workspace=trained.workspace).checkpoint_folder(
        trained.workspace
    )
    shutil.copytree(best, copied)
    monkeypatch.setattr(runlog.Run, "checkpoint_folder", lambda *_: copied)
    rows = run_predict(extracted, trained, inline=False)
    assert not copied.exists()
    assert rows.keys() == readable(extracted).keys()


def test_videos_without_a_label_are_answered_too(trained, extracted: Path) -> None:
    manifest = Dataset(folder=extracted).manifest
    rows = manifest.read()
    position = rows.schema.get_field_index("labels")
    unlabelled = rows.set_column(
        position, rows.schema.field(position), pa.array([[]] * len(rows), pa.list_(pa.string()))
    )
    manifest.replace(unlabelled)
    answered = run_predict(extracted, trained)
    assert all(row["label"] in row["classes"] for row in answered.values())
    assert answered.keys() == readable(extracted).keys()


def test_predicting_again_does_nothing_and_says_so(
    trained, extracted: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_predict(extracted, trained)
    before = table_of(extracted).version
    capsys.readouterr()
    run_predict(extracted, trained)
    assert table_of(extracted).version == before
    assert "nothing to do" in capsys.readouterr().out


def test_only_what_has_no_prediction_yet_is_predicted(trained, extracted: Path) -> None:
    rows = run_predict(extracted, trained)
    gone = sorted(rows)[0]
    table_of(extracted).delete("video_id", [gone])
    again = run_predict(extracted, trained)
    assert again.keys() == rows.keys()
    assert {key: again[key] for key in rows if key != gone} == {
        key: rows[key] for key in rows if key != gone
    }


def test_a_video_that_cannot_be_decoded_is_quarantined_and_costs_itself_only(
    trained, indexed: Path
) -> None:
    dataset = Dataset(folder=indexed)
    rows = dataset.manifest.read()
    gone = sorted(readable(indexed))[0]
    uris = [
        "/nowhere/gone.mp4" if row["video_id"] == gone else row["uri"] for row in rows.to_pylist()
    ]
    position = rows.schema.get_field_index("uri")
    dataset.manifest.replace(rows.set_column(position, "uri", pa.array(uris)))
    answered = run_predict(indexed, trained)
    assert answered.keys() == readable(indexed).keys() - {gone}
    failed = [row for row in dataset.quarantine.read().to_pylist() if row["stage"] == "decode"]
    assert [row["video_id"] for row in failed] == [gone]


def test_a_run_that_does_not_exist_is_named(extracted: Path) -> None:
    with pytest.raises(UserError, match="run 'nosuchrun' does not exist"):
        predict(PredictConfig(data=str(extracted), run="nosuchrun"))


def test_a_dataset_without_a_manifest_says_what_to_run_first(trained, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no manifest: run `python -m pipelines.index"):
        predict(PredictConfig(data=str(tmp_path / "nothing"), run=trained.run_id))


def test_the_most_and_least_confident_clips_are_shown_beside_the_predictions(
    trained, half_extracted: Path
) -> None:
    config = PredictConfig(data=str(half_extracted), run=trained.run_id, pictures=3, inline=True)
    predict(config)
    run = run_of(half_extracted, trained)
    rows = table_of(half_extracted).read().to_pylist()
    assert run.read_json(runlog.PICTURED) == extremes(rows, count=3)
    assert Image.open(io.BytesIO(run.read_bytes(SHEET))).format == "JPEG"
    with av.open(io.BytesIO(run.read_bytes(MOVING))) as video:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in video.decode(video=0)]
    assert len(frames) == 3 * 4, "each clip has 4 frames, shown three times"
    assert np.abs(frames[0] - frames[2]).max() > 50, "something moves"


def test_without_pictures_none_are_made(trained, extracted: Path) -> None:
    predict(PredictConfig(data=str(extracted), run=trained.run_id, pictures=0, inline=True))
    run = run_of(extracted, trained)
    assert not any(run.has(name) for name in (SHEET, MOVING, runlog.PICTURED))


@pytest.mark.parametrize("pictures", [-1, 51])
def test_a_number_of_pictures_that_cannot_be_shown_is_refused(pictures: int) -> None:
    with pytest.raises(ValueError, match=f"pictures is {pictures}: use 0 for none, or up to 50"):
        PredictConfig(data="d", run="r", pictures=pictures)


def test_a_video_that_is_forgotten_leaves_the_pictures(trained, extracted: Path) -> None:
    predict(PredictConfig(data=str(extracted), run=trained.run_id, pictures=2, inline=True))
    run = run_of(extracted, trained)
    pictured, before = run.read_json(runlog.PICTURED), run.read_bytes(SHEET)
    digests = {video_id: row["digest"] for video_id, row in readable(extracted).items()}

    forget(ForgetConfig(digests[pictured[0]], data=str(extracted)))

    assert run.read_json(runlog.PICTURED) == []
    assert len(run.read_bytes(SHEET)) < len(before)
    with av.open(io.BytesIO(run.read_bytes(MOVING))) as video:
        assert len(list(video.decode(video=0))) == 1


def test_pictures_are_found_also_where_table_versions_no_longer_read(
    trained, extracted: Path
) -> None:
    predict(PredictConfig(data=str(extracted), run=trained.run_id, pictures=2, inline=True))
    run = run_of(extracted, trained)
    first, before = run.read_json(runlog.PICTURED)[0], run.read_bytes(SHEET)
    digests = {video_id: row["digest"] for video_id, row in readable(extracted).items()}
    stranger = next(v for v in digests if v not in run.read_json(runlog.PICTURED))
    # With the stranger's rows go the files that hold those of all others in older versions.
    forget(ForgetConfig(digests[stranger], data=str(extracted), purge=True))
    assert run.read_bytes(SHEET) == before, "it does not show the stranger"

    found = forget(ForgetConfig(digests[first], data=str(extracted)))

    assert "shows it in its pictures" in [use.said for use in found.uses]
    assert run.read_json(runlog.PICTURED) == []
