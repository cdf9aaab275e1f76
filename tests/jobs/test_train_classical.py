"""train_classical: a run like any other training's, measured and compared by the same jobs."""

from __future__ import annotations

import io
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from pipelines import cli, compare, evaluate, train_classical
from pipelines.evaluate import EvaluateConfig
from pipelines.train_classical import TrainClassicalConfig
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.learning import vector_card
from videoproc.learning.scored import from_table
from videoproc.tables import Dataset
from videoproc.tasks import select_task

SETTINGS = {"forest": {"trees": 20}, "neighbours": {"neighbours": 3}}


@pytest.fixture(scope="module")
def _data(_extracted: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of each class two videos to learn from, three to validate and one to test; no two videos
    have a source in common."""
    data = Path(shutil.copytree(_extracted, tmp_path_factory.mktemp("classical") / "data"))
    table, seen = Dataset(folder=data).manifest, dict[str | None, int]()
    dealt = []
    for video in manifest.from_table(table.read()):
        place = seen.setdefault(video.label, 0)
        seen[video.label] += video.error is None
        split = ("train", "train", "val", "val", "val", "test")[place % 6]
        dealt.append(replace(video, split=split, group=f"source of {video.uri}"))
    table.replace(manifest.to_table(dealt))
    return data


@dataclass(frozen=True, kw_only=True)
class Made:
    """Runs of two classifiers by name, measured on test."""

    data: Path
    workspace: Path
    runs: dict[str, str]
    measured: dict[str, dict[str, float]]

    def run(self, classifier: str) -> runlog.Run:
        return runlog.open_run(self.runs[classifier], workspace=self.workspace)


@pytest.fixture(scope="module")
def _made(_data: Path, _empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    workspace = tmp_path_factory.mktemp("made")
    shutil.copy(_empty_store, workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(workspace))
        runs = {
            name: train_classical.train_classical(
                TrainClassicalConfig(data=str(_data), classifier=name, settings=settings)
            )
            for name, settings in SETTINGS.items()
        }
        measured = {
            name: evaluate.evaluate(EvaluateConfig(data=str(_data), run=run))
            for name, run in runs.items()
        }
    return Made(data=_data, workspace=workspace, runs=runs, measured=measured)


@pytest.fixture
def made(_made: Made, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(_made.workspace))
    return _made


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a job's command line prints; its error where it ends with one."""

    def run(job: Callable, config_class: type, *arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["job", *arguments])
        code = 0
        try:
            cli.main(job, config_class)
        except SystemExit as ended:
            code = int(ended.code or 0)
        assert code in (0, 2)
        out, err = capsys.readouterr()
        return err if code else out

    return run


def test_a_run_has_the_layout_of_a_networks(made: Made) -> None:
    run = made.run("forest")
    assert (run.status, run.tags["job"], run.tags["model"]) == ("FINISHED", "train", "forest")
    dataset = Dataset(folder=made.data)
    assert run.tags["table_version.features"] == str(dataset.features.version)
    assert (run.tags["clips.train"], run.tags["clips.val"]) == ("12", "18")
    assert 0 <= run.metrics["val/accuracy"] <= 1
    assert run.metrics["val/loss"] > 0
    learned = run.read_json(runlog.LEARNED_FROM)
    assert (len(learned["train"]["videos"]), len(learned["val"]["groups"])) == (12, 18)
    assert run.read_json("choice.json")["chosen"]["trees"] == 20


def test_it_learns_from_all_features_that_the_clips_have(made: Made) -> None:
    card = vector_card.read_card(made.run("forest").checkpoint_folder(made.workspace))
    assert list(card.features) == ["colour", "motion"]
    assert card.make_recipe() == Dataset(folder=made.data).recipe


def test_a_forest_says_which_features_it_decides_by(made: Made) -> None:
    found = made.run("forest").read_json("importances.json")
    assert found["by_feature"].keys() == {"colour", "motion"}
    assert sum(found["by_feature"].values()) == pytest.approx(1)
    assert sum(found["by_column"].values()) == pytest.approx(1)
    picture = imread(io.BytesIO(made.run("forest").read_bytes("importances.png")))
    assert picture.std() > 0
    assert not made.run("neighbours").has("importances.json")


@pytest.mark.parametrize("classifier", SETTINGS)
def test_evaluate_measures_it_as_it_does_a_network(made: Made, classifier: str) -> None:
    measured, run = made.measured[classifier], made.run(classifier)
    scored = from_table(run.read_table("test/scores.parquet"))
    task = select_task(scored.task)
    summary = task.metrics.summarise(scored.scores, scored.spec)
    assert measured["test/clips"] == len(scored.about) == 6
    assert summary.items() <= {k.removeprefix("test/"): v for k, v in measured.items()}.items()
    assert run.metrics["test/accuracy"] == measured["test/accuracy"]
    assert run.has("test/confusion_matrix.png")
    assert not run.has("learning_curves.png")
    assert evaluate.is_measured(EvaluateConfig(data=str(made.data), run=made.runs[classifier]))


def test_what_must_be_beaten_stands_beside_it_with_paired_intervals(made: Made) -> None:
    measured = made.measured["forest"]
    assert measured["test/majority_accuracy"] == pytest.approx(1 / 6)
    for name in ("majority", "header_only"):
        over = measured["test/accuracy"] - measured[f"test/{name}_accuracy"]
        assert measured[f"test/over_{name}"] == pytest.approx(over)
        low, high = (measured[f"test/over_{name}_{end}"] for end in ("low", "high"))
        assert low <= over <= high


def test_the_terminal_names_the_baselines_and_why_there_is_no_temperature(made: Made, told) -> None:
    said = told(
        evaluate.evaluate, EvaluateConfig, "--data", str(made.data), "--run", made.runs["forest"]
    )
    over = made.measured["forest"]["test/over_header_only"]
    assert f"(over it {over:+.3f}, " in said
    assert "; test/majority_accuracy 0.167 (over it" in said
    assert "no source has several labels" in said
    assert "no temperature scaling: the 18 clips in val are too few" in said
    assert not any("temperature" in name for name in made.measured["forest"])


def test_a_temperature_changes_no_answer(
    made: Made, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("videoproc.tasks.classification.temperature.MIN_SAMPLES", 18)
    config = EvaluateConfig(data=str(made.data), run=made.runs["neighbours"])
    capsys.readouterr()
    measured = evaluate.evaluate(config)
    said = capsys.readouterr().out
    assert f"at temperature {measured['test/temperature']:.2f} from val loss " in said
    assert 0.05 <= measured["test/temperature"] <= 20
    for name in ("loss", "expected_calibration_error", "brier"):
        assert np.isfinite(measured[f"test/{name}_scaled"])
    assert measured["test/accuracy"] == made.measured["neighbours"]["test/accuracy"]
    of_val = evaluate.evaluate(replace(config, split="val"))
    assert "val/temperature" not in of_val


def test_a_temperature_that_val_lacks_vectors_for_is_left_out_and_says_so(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("videoproc.tasks.classification.temperature.MIN_SAMPLES", 18)
    other = Dataset(folder=Path(shutil.copytree(made.data, tmp_path / "data")))
    val = [v.video_id for v in manifest.from_table(other.manifest.read()) if v.split == "val"]
    other.features.delete("video_id", val)
    capsys.readouterr()
    measured = evaluate.evaluate(EvaluateConfig(data=str(other.folder), run=made.runs["forest"]))
    assert "test/temperature" not in measured
    said = capsys.readouterr().out
    assert re.search(r"no temperature scaling: feature '\w+': 18 of 18 clips have none", said)


def test_a_source_of_one_clip_tells_nothing_of_within(made: Made) -> None:
    measured = made.measured["forest"]
    assert measured["test/camera_only_accuracy"] == 1
    assert "test/within_source_accuracy" not in measured
    assert (
        "no source has several"
        in made.run("forest").read_json("test/beyond_source.json")["sentence"]
    )


def test_two_classifiers_are_compared_clip_by_clip(made: Made, told) -> None:
    said = told(compare.compare, compare.CompareConfig, *made.runs.values())
    assert "Both were measured on the same 6 clips of split test" in said
    assert "forest -> neighbours" in said


def test_the_same_data_and_settings_have_the_same_key_and_the_same_answers(
    made: Made, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(workspace))
    config = TrainClassicalConfig(
        data=str(made.data), classifier="forest", settings=SETTINGS["forest"]
    )
    again = runlog.open_run(train_classical.train_classical(config), workspace=workspace)
    before = made.run("forest")
    assert again.tags["training_key"] == before.tags["training_key"]
    assert again.metrics["val/loss"] == before.metrics["val/loss"]
    keys = {
        train_classical.prepare(other).training_key
        for other in (
            config,
            replace(config, seed=1),
            replace(config, settings=None),
            replace(config, features=("colour",)),
            replace(config, classifier="svm", settings={}),
        )
    }
    assert len(keys) == 5


def test_settings_that_are_chosen_are_said(made: Made, told) -> None:
    said = told(
        train_classical.train_classical,
        TrainClassicalConfig,
        *("--data", str(made.data), "--classifier", "neighbours", "--features", "[colour]"),
    )
    assert "12 clips to train, 18 to validate, 33 numbers a clip of 1 features" in said
    assert "(of 5 settings, " in said


def test_features_that_clips_lack_are_named_with_the_remedy(made: Made, told) -> None:
    said = told(
        train_classical.train_classical,
        TrainClassicalConfig,
        *("--data", str(made.data), "--classifier", "svm", "--features", "[colour,flow]"),
    )
    assert said.startswith("error: feature 'flow': 30 of 30 clips have none")
    assert "run pipelines.extract with it in --features" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"classifier": "xgb"}, "no classifier 'xgb'"),
        ({"settings": {"depth": 1}}, "'forest' has no 'depth'"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        TrainClassicalConfig(**({"data": "d", "classifier": "forest"} | given))
