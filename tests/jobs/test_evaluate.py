"""evaluate: every clip of a split once, measured and logged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pyarrow.compute as pc
import pytest

from pipelines.evaluate import EvaluateConfig, evaluate, is_measured
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.tables import Dataset
from videoproc.types import UserError

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def measured(trained) -> dict[str, float]:
    return evaluate(EvaluateConfig(data=str(trained.data), run=trained.run_id))


@pytest.fixture
def artifact(trained) -> Callable[[str], bytes]:
    """The bytes of an artifact of a new evaluation run."""
    evaluate(EvaluateConfig(data=str(trained.data), run=trained.run_id))

    def read(name: str) -> bytes:
        found = runlog.find_run(
            data=trained.data, workspace=trained.workspace, tags={"evaluated_run": trained.run_id}
        )
        assert found is not None
        return Path(
            mlflow.artifacts.download_artifacts(
                run_id=found.run_id,
                artifact_path=name,
                tracking_uri=runlog.tracking_uri(trained.workspace),
            )
        ).read_bytes()

    return read


def test_accuracy_stands_within_its_interval_and_counts_every_clip(
    trained, measured: dict[str, float]
) -> None:
    rows = Dataset(folder=trained.data).manifest.read(["split", "error"]).to_pylist()
    in_split = [row for row in rows if row["split"] == "test" and row["error"] is None]
    assert measured["test/clips"] == len(in_split)
    low, high = measured["test/accuracy_low"], measured["test/accuracy_high"]
    assert 0 <= low <= measured["test/accuracy"] <= high <= 1


def test_each_class_has_its_precision_recall_and_f1(trained, measured: dict[str, float]) -> None:
    videos = manifest.from_table(Dataset(folder=trained.data).manifest.read())
    labels = {video.label for video in videos}
    for name in ("precision", "recall", "f1"):
        of_classes = {key.split("/")[2] for key in measured if key.startswith(f"test/{name}/")}
        assert of_classes == labels - {None}
        mean = np.mean([measured[f"test/{name}/{label}"] for label in of_classes])
        assert measured[f"test/{name}_macro"] == pytest.approx(mean)


def test_what_must_be_beaten_stands_beside_the_models_accuracy(
    measured: dict[str, float],
) -> None:
    assert 0 <= measured["test/header_only_accuracy"] <= 1


def test_the_metrics_stand_on_the_trained_run_too_so_that_runs_compare(
    trained, measured: dict[str, float]
) -> None:
    on_run = trained.run.metrics
    assert on_run["test/accuracy"] == measured["test/accuracy"]
    assert on_run["test/f1_macro"] == measured["test/f1_macro"]


def test_the_confusion_matrix_is_logged_as_numbers(
    artifact: Callable[[str], bytes], measured: dict[str, float]
) -> None:
    logged = json.loads(artifact("test/confusion_matrix.json"))
    matrix = np.array(logged["rows_true_columns_predicted"])
    assert matrix.shape == (len(logged["classes"]),) * 2
    assert matrix.sum() == measured["test/clips"]
    assert matrix.trace() / matrix.sum() == pytest.approx(measured["test/accuracy"])


@pytest.mark.parametrize("name", ["test/confusion_matrix.png", "learning_curves.png"])
def test_pictures_are_logged(artifact: Callable[[str], bytes], name: str) -> None:
    assert artifact(name).startswith(PNG)


def test_measuring_again_gives_the_same_numbers(trained, measured: dict[str, float]) -> None:
    again = evaluate(EvaluateConfig(data=str(trained.data), run=trained.run_id, batch_size=4))
    assert again == measured


def test_a_split_without_clips_is_refused(trained, extracted: Path) -> None:
    dataset = Dataset(folder=extracted)
    of_test = dataset.manifest.read().filter(pc.field("split") == "test")["video_id"].to_pylist()
    for video_id in of_test:
        dataset.clips.delete("video_id", [video_id])
    with pytest.raises(UserError, match="no clip in split 'test'"):
        evaluate(EvaluateConfig(data=str(extracted), run=trained.run_id))


def test_a_source_on_both_sides_of_the_split_is_refused(trained, extracted: Path) -> None:
    manifest = Dataset(folder=extracted).manifest
    rows = manifest.read()
    position = rows.schema.get_field_index("group")
    one_source = pc.if_else(True, "camera 1", rows["group"])
    manifest.replace(rows.set_column(position, rows.schema.field(position), one_source))
    with pytest.raises(UserError, match="groups on several sides of the split: camera 1"):
        evaluate(EvaluateConfig(data=str(extracted), run=trained.run_id))


def test_what_the_model_has_learned_from_is_refused_whatever_split_it_stands_in_now(
    trained, extracted: Path
) -> None:
    dataset = Dataset(folder=extracted)
    videos = manifest.from_table(dataset.manifest.read())
    swapped = {"train": "test", "test": "train"}
    dataset.manifest.replace(
        manifest.to_table([replace(v, split=swapped.get(v.split, v.split)) for v in videos])
    )
    with pytest.raises(UserError, match=r"run \w{32} has learned from: the splits have changed"):
        evaluate(EvaluateConfig(data=str(extracted), run=trained.run_id))


@pytest.mark.usefixtures("measured")
def test_another_datasets_metrics_do_not_stand_on_the_trained_run(trained, extracted: Path) -> None:
    before = trained.run.metrics["test/accuracy"]
    dataset = Dataset(folder=extracted)
    videos = manifest.from_table(dataset.manifest.read())
    other = {v.label: w.label for v, w in zip(videos, videos[7:] + videos[:7], strict=True)}
    dataset.manifest.replace(
        manifest.to_table([replace(v, labels=(other[v.label],) if v.label else ()) for v in videos])
    )
    evaluate(EvaluateConfig(data=str(extracted), run=trained.run_id))
    assert trained.run.metrics["test/accuracy"] == before


@pytest.mark.usefixtures("measured")
def test_a_corrected_label_makes_an_evaluation_out_of_date(trained, tmp_path: Path) -> None:
    data = Path(shutil.copytree(trained.data, tmp_path / "copy"))
    config = EvaluateConfig(data=str(data), run=trained.run_id)
    assert is_measured(config)
    table = Dataset(folder=data).manifest
    videos = manifest.from_table(table.read())
    position = next(i for i, video in enumerate(videos) if video.split == "test")
    other = next(v.label for v in videos if v.label not in (None, videos[position].label))
    videos[position] = replace(videos[position], labels=(other,))
    table.replace(manifest.to_table(videos))
    assert not is_measured(config)


def test_a_run_that_does_not_exist_is_named(extracted: Path) -> None:
    with pytest.raises(UserError, match="run 'nope' does not exist"):
        evaluate(EvaluateConfig(data=str(extracted), run="nope"))


def test_a_run_that_trained_nothing_has_no_checkpoint(extracted: Path, workspace: Path) -> None:
    with runlog.job_run("extract", data=extracted, workspace=workspace, config={}) as run:
        pass
    with pytest.raises(UserError, match="has no checkpoint"):
        evaluate(EvaluateConfig(data=str(extracted), run=run.run_id))


@pytest.mark.parametrize(("field", "value"), [("split", "all"), ("batch_size", 0)])
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{field} is {value!r}"):
        EvaluateConfig(**{"data": "d", "run": "r", field: value})
