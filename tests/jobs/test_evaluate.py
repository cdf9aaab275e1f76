"""evaluate: every clip of a split once, measured and logged."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipelines.evaluate import EvaluateConfig, evaluate, is_measured
from pipelines.extract import ExtractConfig, extract
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.learning.scored import Scored, from_table
from videoproc.media import Sampling, Size
from videoproc.tables import Dataset
from videoproc.tasks import select_task
from videoproc.types import UserError

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def _measured(_trained) -> dict[str, float]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(_trained.workspace))
        return evaluate(EvaluateConfig(data=str(_trained.data), run=_trained.run_id))


@pytest.fixture
def measured(_measured: dict[str, float], trained) -> dict[str, float]:  # noqa: ARG001 - its store
    return _measured


@pytest.fixture
def artifact(trained, measured: dict[str, float]) -> Callable[[str], bytes]:  # noqa: ARG001 - made by it
    """The bytes of an artifact of the evaluation run."""

    def read(name: str) -> bytes:
        tags = {"evaluated_run": trained.run_id, "data": str(trained.data)}
        found = runlog.find_run(data=trained.data, workspace=trained.workspace, tags=tags)
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
    for name in ("majority", "header_only"):
        assert 0 <= measured[f"test/{name}_accuracy"] <= 1
        over, low, high = (measured[f"test/over_{name}{end}"] for end in ("", "_low", "_high"))
        assert over == measured["test/accuracy"] - measured[f"test/{name}_accuracy"]
        assert low <= over <= high


def test_what_knowing_the_source_could_tell_is_said(
    measured: dict[str, float], artifact: Callable[[str], bytes]
) -> None:
    found = json.loads(artifact("test/beyond_source.json"))
    assert measured["test/camera_only_accuracy"] == found["camera_only"]
    assert f"accuracy of {found['camera_only']:.3f}" in found["sentence"]
    parts = json.loads(artifact("test/by_source.json"))
    assert (found["sources"], found["several"]) == (
        len(parts),
        sum(part["labels"] > 1 for part in parts),
    )


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


@pytest.mark.parametrize(
    "name",
    [
        "test/confusion_matrix.png",
        "test/roc.png",
        "test/precision_recall.png",
        "test/calibration.png",
        "test/by_source.png",
        "test/by_resolution.png",
        "learning_curves.png",
    ],
)
def test_pictures_are_logged(artifact: Callable[[str], bytes], name: str) -> None:
    assert artifact(name).startswith(PNG)


def test_ranking_and_calibration_are_measured_too(measured: dict[str, float]) -> None:
    for name in ("roc_auc_macro", "average_precision_macro", "expected_calibration_error"):
        assert 0 <= measured[f"test/{name}"] <= 1
    assert 0 <= measured["test/brier"] <= 2


@pytest.mark.parametrize("by", ["source", "resolution"])
def test_a_breakdown_covers_every_clip_and_averages_to_the_accuracy(
    artifact: Callable[[str], bytes], measured: dict[str, float], by: str
) -> None:
    parts = json.loads(artifact(f"test/by_{by}.json"))
    assert len({part[by] for part in parts}) == len(parts) > 1
    clips = [part["clips"] for part in parts]
    assert (sum(clips), sum(part["videos"] for part in parts)) == (
        measured["test/clips"],
        measured["test/videos"],
    )
    mean = np.average([part["accuracy"] for part in parts], weights=clips)
    assert mean == pytest.approx(measured["test/accuracy"])


def test_resolutions_are_those_of_the_manifest(trained, artifact: Callable[[str], bytes]) -> None:
    rows = Dataset(folder=trained.data).manifest.read().to_pylist()
    expected = {f"{r['width']}x{r['height']}" for r in rows if r["split"] == "test"}
    assert {part["resolution"] for part in json.loads(artifact("test/by_resolution.json"))} == (
        expected
    )


@pytest.fixture
def scored(artifact: Callable[[str], bytes]) -> Scored:
    return from_table(pq.read_table(io.BytesIO(artifact("test/scores.parquet"))))


def test_the_table_of_scores_gives_the_metrics_again(
    scored: Scored, measured: dict[str, float]
) -> None:
    task = select_task(scored.task)
    summary = task.metrics.summarise(scored.scores, scored.spec)
    assert summary.items() <= {k.removeprefix("test/"): v for k, v in measured.items()}.items()
    assert scored.losses.mean() == pytest.approx(measured["test/loss"])


def test_the_table_of_scores_holds_every_clip_of_the_split_once(trained, scored: Scored) -> None:
    rows = Dataset(folder=trained.data).manifest.read().to_pylist()
    expected = {r["video_id"]: (r["uri"], *r["labels"]) for r in rows if r["split"] == "test"}
    found = [(row["video_id"], (row["uri"], row["label"])) for row in scored.about]
    assert sorted(found) == sorted(expected.items())


def test_the_worst_mistakes_are_kept_by_name(
    artifact: Callable[[str], bytes], scored: Scored, measured: dict[str, float]
) -> None:
    mistakes = json.loads(artifact("test/mistakes.json"))
    assert len(mistakes) == round((1 - measured["test/accuracy"]) * measured["test/clips"])
    known = {row["clip_id"]: row for row in scored.about}
    for mistake in mistakes:
        row = known[mistake["clip_id"]]
        assert (mistake["uri"], mistake["true"]) == (row["uri"], row["label"])
        assert mistake["told"] != mistake["true"]
    confidences = [mistake["confidence"] for mistake in mistakes]
    assert confidences == sorted(confidences, reverse=True)


def test_the_clips_of_a_video_are_judged_together_too(
    extracted: Path, log_untrained: Callable[..., str]
) -> None:
    sampling = Sampling(num_frames=4, clip_s=0.5)
    run_id = log_untrained(recipe=replace(Dataset(folder=extracted).recipe, sampling=sampling))
    settings = {"sampling": sampling, "size": Size(height=16, width=16), "inline": True}
    extract(ExtractConfig(data=str(extracted), **settings))
    found = evaluate(EvaluateConfig(data=str(extracted), run=run_id))
    assert found["test/videos"] == 6
    assert found["test/clips"] > 6
    sixths = found["test/video_accuracy"] * 6
    assert sixths == pytest.approx(round(sixths)), "each video counts once"
    low, high = found["test/video_accuracy_low"], found["test/video_accuracy_high"]
    assert 0 <= low <= found["test/video_accuracy"] <= high <= 1


def test_videos_of_one_clip_have_their_clips_accuracy(measured: dict[str, float]) -> None:
    assert measured["test/videos"] == measured["test/clips"]
    assert measured["test/video_accuracy"] == measured["test/accuracy"]


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
    with pytest.raises(UserError, match="groups on several sides of the split: group 'camera 1'"):
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
        manifest.to_table(
            [replace(v, labels=(told,) if (told := other[v.label]) else ()) for v in videos]
        )
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
    with pytest.raises(UserError, match="run 'nosuchrun' does not exist"):
        evaluate(EvaluateConfig(data=str(extracted), run="nosuchrun"))


def test_a_run_that_trained_nothing_has_no_checkpoint(extracted: Path, workspace: Path) -> None:
    with runlog.job_run("extract", data=extracted, workspace=workspace, config={}) as run:
        pass
    with pytest.raises(UserError, match="has no checkpoint"):
        evaluate(EvaluateConfig(data=str(extracted), run=run.run_id))


@pytest.mark.parametrize(("field", "value"), [("split", "all"), ("batch_size", 0)])
def test_a_wrong_setting_is_named(field: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"{field} is {value!r}"):
        EvaluateConfig(**{"data": "d", "run": "r", field: value})
