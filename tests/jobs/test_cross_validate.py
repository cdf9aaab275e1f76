"""cross_validate: each video tested once by a model that never saw it, and nothing done twice."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest

from pipelines import cli, cross_validate
from pipelines.compare import CompareConfig, compare
from pipelines.cross_validate import CrossValidateConfig
from pipelines.lineage import LineageConfig, lineage
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.corpus.folds import FoldConfig
from videoproc.learning.config import LoopConfig, OptimConfig
from videoproc.learning.evaluate import interval
from videoproc.learning.loop import Trainer
from videoproc.learning.scored import Scored, from_table
from videoproc.tables import Dataset
from videoproc.types import UserError

TINY = {"channels": [4, 8]}
CLIPS = 36


def make_config(data: Path, **settings: Any) -> CrossValidateConfig:
    """Three folds, of which each has one of the corpus's three sources on each side."""
    defaults: dict[str, Any] = {
        "model": "cnn",
        "model_settings": TINY,
        "loop": LoopConfig(epochs=1, batch_size=8, optim=OptimConfig(learning_rate=1e-2)),
        "folds": FoldConfig(count=3, val_share=0.5),
        "inline": True,
    }
    return CrossValidateConfig(data=str(data), **(defaults | settings))


@dataclass(frozen=True, kw_only=True)
class Validated:
    data: Path
    workspace: Path
    run_id: str
    said: str

    @property
    def run(self) -> runlog.Run:
        return runlog.open_run(self.run_id, workspace=self.workspace)

    @property
    def children(self) -> list[mlflow.entities.Run]:
        found = mlflow.MlflowClient(f"sqlite:///{self.workspace / 'mlflow.db'}").search_runs(
            [self.run._stored().info.experiment_id],
            f"tags.`mlflow.parentRunId` = '{self.run_id}'",
            order_by=["attributes.run_name"],
        )
        return list(found)

    def tell(self, name: str = "folds") -> Scored:
        return from_table(self.run.read_table(f"{name}/scores.parquet"))


@pytest.fixture
def grouped(extracted: Path, group_videos: Callable[[Path], Path]) -> Path:
    return group_videos(extracted)


@pytest.fixture(scope="module")
def _validated(
    _extracted: Path,
    _empty_store: Path,
    group_videos: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Validated:
    folder = tmp_path_factory.mktemp("validated")
    (folder / "workspace").mkdir()
    shutil.copy(_empty_store, folder / "workspace")
    data = group_videos(Path(shutil.copytree(_extracted, folder / "data")))
    said: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(folder / "workspace"))
        patch.setattr(cross_validate, "say", lambda job, text: said.append(f"{job} {text}"))
        run_id = cross_validate.cross_validate(make_config(data, seeds="0,1"))
    return Validated(data=data, workspace=folder / "workspace", run_id=run_id, said="\n".join(said))


@pytest.fixture
def validated(_validated: Validated, monkeypatch: pytest.MonkeyPatch) -> Validated:
    """A finished one of two seeds; its workspace is the job's own. Read only."""
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(_validated.workspace))
    return _validated


def test_each_seed_tells_of_every_clip_once(validated: Validated) -> None:
    first, second = validated.tell(), validated.tell("folds/seed_1_repeat_0")
    ids = [row["clip_id"] for row in first.about]
    assert len(ids) == len(set(ids)) == CLIPS
    assert [row["clip_id"] for row in second.about] == ids
    assert not np.array_equal(first.losses, second.losses)


def test_metrics_are_means_over_seeds_with_their_interval_and_spread(validated: Validated) -> None:
    hits = [
        s.scores["probabilities"].argmax(1) == s.scores["target"]
        for s in (validated.tell(), validated.tell("folds/seed_1_repeat_0"))
    ]
    accuracies, metrics = [h.mean() for h in hits], validated.run.metrics
    assert metrics["folds/accuracy"] == pytest.approx(np.mean(accuracies))
    assert metrics["folds/accuracy_std"] == pytest.approx(np.std(accuracies, ddof=1))
    mean = np.mean(hits, axis=0)
    between = interval(lambda i: float(mean[i].mean()), groups=validated.tell().sources)
    assert (metrics["folds/accuracy_low"], metrics["folds/accuracy_high"]) == pytest.approx(between)
    assert metrics["folds/clips"] == CLIPS
    assert "folds/header_only_accuracy" in metrics


def test_a_child_run_of_each_fold_has_its_course_and_what_it_measured(validated: Validated) -> None:
    named = [child.info.run_name for child in validated.children]
    assert named == [f"cnn seed {s} repeat 0 fold {f}" for s in (0, 1) for f in range(3)]
    found = [child.data.metrics for child in validated.children]
    assert all({"train/loss", "val/accuracy", "learning_rate"} <= set(m) for m in found)
    assert sum(m["test/clips"] for m in found) == 2 * CLIPS
    right = sum(m["test/accuracy"] * m["test/clips"] for m in found)
    assert right / (2 * CLIPS) == pytest.approx(validated.run.metrics["folds/accuracy"])
    spread = np.std([m["test/accuracy"] for m in found], ddof=1)
    assert validated.run.metrics["folds/accuracy_fold_std"] == pytest.approx(spread)


def test_no_fold_learns_from_a_source_that_it_tests(validated: Validated) -> None:
    group_of = {
        row["video_id"]: row["group"]
        for row in Dataset(folder=validated.data).manifest.read().to_pylist()
    }
    folds = validated.run.read_json("folds/folds.json")
    for fold in folds:
        sides = [{group_of[i] for i in fold[side]} for side in ("train", "val", "test")]
        assert sum(map(len, sides)) == len(set.union(*sides)) == 3
    tested = [i for fold in folds for i in fold["test"]]
    assert sorted(tested) == sorted({row["video_id"] for row in validated.tell().about})


def test_it_says_what_it_does_and_what_came_of_it(validated: Validated) -> None:
    plan, sources, *of_folds, headline = validated.said.splitlines()
    assert "cnn: 3 folds by group of 36 videos, 1 repeat(s), 2 seed(s): 6 trainings" in plan
    assert "none of the 3 groups is on two sides of a fold" in sources
    assert len(of_folds) == 6
    assert re.search(
        r"seed 1 repeat 0 fold 2: accuracy 0\.\d+, learned in .* s, .*\(6/6\)$", of_folds[5]
    )
    assert re.search(
        r"folds/accuracy 0\.\d+ \(95 % interval by source 0\.\d+ to 0\.\d+\), 36 clips of 36 videos"
        r".*mean of 2 \(seeds x repeats\), std .*; folds/header_only_accuracy 0\.\d+",
        headline,
    )


def test_the_run_names_what_it_learned_from(validated: Validated) -> None:
    """Of three sources one chooses in two folds, and trains in none: that is said as it is."""
    sides = validated.run.read_json(runlog.LEARNED_FROM)
    of_side = {side: set(held["videos"]) for side, held in sides.items()}

    def said_of(video_id: str) -> str:
        found = lineage(LineageConfig(video_id, data=str(validated.data)))
        (use,) = [use for use in found.uses if use.run_id == validated.run_id]
        return use.said

    learned = said_of(min(of_side["train"]))
    assert learned.startswith("has learned from it, in split train")
    for video_id in sorted(of_side["test"] - of_side["train"])[:1]:
        assert said_of(video_id) == "has not learned from it, and held it in split val, test"


def test_a_run_that_is_gone_on_with_after_its_end_comes_to_the_same(validated: Validated) -> None:
    before, children = validated.run.metrics, len(validated.children)
    config = make_config(validated.data, seeds="0,1", resume=validated.run_id[:8])
    assert cross_validate.cross_validate(config) == validated.run_id
    assert validated.run.metrics == before
    assert len(validated.children) == children


def test_one_with_other_settings_or_labels_is_not_gone_on_with(
    validated: Validated, tmp_path: Path
) -> None:
    other = make_config(validated.data, seeds="0,1", folds=FoldConfig(count=3, val_share=0.4))
    with pytest.raises(UserError, match=r"resume: run .* was not a cross-validation with these"):
        cross_validate.cross_validate(replace(other, resume=validated.run_id))
    data = Path(shutil.copytree(validated.data, tmp_path / "data"))
    table = Dataset(folder=data).manifest
    videos = manifest.from_table(table.read())
    labels = sorted({v.labels for v in videos if v.labels})
    videos = [replace(v, labels=labels[1]) if v.labels == labels[0] else v for v in videos]
    table.replace(manifest.to_table(videos))
    with pytest.raises(UserError, match=r"resume: run .* was not a cross-validation with these"):
        cross_validate.cross_validate(make_config(data, seeds="0,1", resume=validated.run_id))


class PulledPlugError(Exception):
    pass


def test_the_same_command_goes_on_with_what_was_cut_off(
    validated: Validated, grouped: Path, monkeypatch: pytest.MonkeyPatch, workspace: Path, capsys
) -> None:
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(workspace))
    real_fit, begun = Trainer.fit, []

    def fit(self: Trainer) -> object:
        begun.append(self.folder.name)
        if len(begun) == 4:
            raise PulledPlugError
        return real_fit(self)

    monkeypatch.setattr(Trainer, "fit", fit)
    config = make_config(grouped, seeds="0,1")
    with pytest.raises(PulledPlugError):
        cross_validate.cross_validate(config)
    capsys.readouterr()
    run_id = cross_validate.cross_validate(config)
    said = capsys.readouterr().out
    assert f"goes on with run {run_id}" in said
    assert "3 of 6 folds are done already" in said
    assert begun[3:] == [f"seed-1-repeat-0-fold-{i}" for i in (0, 0, 1, 2)]
    resumed = replace(validated, workspace=workspace, run_id=run_id)
    assert len(resumed.children) == 6
    for name in ("folds", "folds/seed_1_repeat_0"):
        whole, again = (one.tell(name) for one in (validated, resumed))
        assert again.losses.tobytes() == whole.losses.tobytes()
    # What is finished is no longer gone on with: the same command is a new run.
    assert cross_validate._earlier(config, cross_validate.prepare(config), workspace) is None


def test_folds_that_would_learn_of_different_classes_are_refused(grouped: Path) -> None:
    table = Dataset(folder=grouped).manifest
    several = [
        replace(v, labels=("approach", "down"))
        if v.labels == ("approach",) and v.group != "source 0"
        else v
        for v in manifest.from_table(table.read())
    ]
    table.replace(manifest.to_table(several))
    said = r"side train of fold \d \(repeat 0\) have .*, and all clips have .*'approach'"
    with pytest.raises(UserError, match=said):
        cross_validate.prepare(make_config(grouped))


def test_without_a_val_side_each_fold_learns_from_all_others(
    grouped: Path, workspace: Path
) -> None:
    run_id = cross_validate.cross_validate(
        make_config(grouped, folds=FoldConfig(count=3, val_share=0))
    )
    by_fold = runlog.open_run(run_id, workspace=workspace).read_json("folds/by_fold.json")
    assert [fold["chosen"] for fold in by_fold] == [{"epoch": 0}] * 3


def test_vectors_that_clips_lack_are_named_before_anything_is_learned(grouped: Path) -> None:
    dataset = Dataset(folder=grouped)
    video = next(v for v in manifest.from_table(dataset.manifest.read()) if v.labels)
    dataset.features.delete("video_id", [video.video_id])
    bare = {"model": "forest", "loop": LoopConfig(), "model_settings": {}}
    with pytest.raises(UserError, match=rf"1 of {CLIPS} clips have none, such as .*--features"):
        cross_validate.prepare(make_config(grouped, **bare))


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_on_ray_it_tells_the_same_to_the_byte(
    validated: Validated, workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(workspace))
    config = make_config(validated.data, inline=False, cpus_per_fold=1)
    run_id = cross_validate.cross_validate(config)
    parallel = replace(validated, workspace=workspace, run_id=run_id).tell()
    assert parallel.losses.tobytes() == validated.tell().losses.tobytes()


def test_two_drivers_do_not_train_the_same_folds(validated: Validated) -> None:
    config = make_config(validated.data, seeds="0,1", resume=validated.run_id)
    with (
        cross_validate._alone(validated.workspace, validated.run_id),
        pytest.raises(UserError, match=f"run {validated.run_id} does just this at the moment"),
    ):
        cross_validate.cross_validate(config)
    assert validated.run.status == "FINISHED", "the other driver's run is as it was"


@pytest.fixture(scope="module")
def by_video(_validated: Validated) -> str:
    """Another, in the same workspace: torn groups, one seed, settings chosen."""
    candidates = (
        {},
        {"loop": {"optim": {"learning_rate": 1e-9}}},
        {"model_settings": {"channels": [2]}},
    )
    config = make_config(
        _validated.data,
        folds=FoldConfig(count=2, by="video", val_share=0.5),
        candidates=candidates,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(_validated.workspace))
        return cross_validate.cross_validate(config)


def test_each_fold_chooses_its_settings_on_its_own_val_side(
    by_video: str, validated: Validated
) -> None:
    for child in replace(validated, run_id=by_video).children:
        chosen = {k: v for k, v in child.data.params.items() if k.startswith("chosen.")}
        values = [float(v) for v in chosen["chosen.candidates_val"].strip("[]").split(",")]
        assert values[int(chosen["chosen.candidate"])] == max(values)
        assert child.data.metrics["val/accuracy"] == max(values)


def test_torn_groups_are_said(validated: Validated, capsys: pytest.CaptureFixture[str]) -> None:
    config = make_config(validated.data, folds=FoldConfig(count=2, by="video", val_share=0.5))
    prepared = cross_validate.prepare(config)
    cross_validate._say_plan(config, prepared, validated.run, is_resumed=False)
    assert (
        "3 of 3 groups are on both sides of a fold, learned from and tested: this measures known "
        "sources, not new ones (folds.by group does)"
    ) in " ".join(capsys.readouterr().out.split())


def test_two_are_compared_on_all_clips_over_all_seeds(
    validated: Validated, capsys: pytest.CaptureFixture[str]
) -> None:
    other = cross_validate.cross_validate(
        make_config(
            validated.data, model="cnn_gru", model_settings=TINY | {"features": 4, "hidden": 4}
        )
    )
    capsys.readouterr()
    first, *_ = compare(CompareConfig(validated.run_id, other))
    said = capsys.readouterr().out
    metrics = [
        runlog.open_run(i, workspace=validated.workspace).metrics for i in (validated.run_id, other)
    ]
    assert (first.a, first.b) == pytest.approx([m["folds/accuracy"] for m in metrics])
    assert "cnn, mean of 2 (seeds x repeats)" in said
    assert "Both were measured on the same 36 clips of split folds, from 3 source(s)." in said
    assert "model cnn -> cnn_gru" in said
    hits = [
        np.mean([s.scores["probabilities"].argmax(1) == s.scores["target"] for s in sets], axis=0)
        for sets in (
            [validated.tell(), validated.tell("folds/seed_1_repeat_0")],
            [replace(validated, run_id=other).tell()],
        )
    ]
    expected = interval(
        lambda i: float((hits[1] - hits[0])[i].mean()), groups=validated.tell().sources
    )
    assert (first.low, first.high) == pytest.approx(expected)


def test_classifiers_and_baselines_are_measured_on_the_folds_of_the_networks(
    validated: Validated,
) -> None:
    bare = {"loop": LoopConfig(), "model_settings": {}}
    runs = {
        name: replace(
            validated,
            run_id=cross_validate.cross_validate(
                make_config(validated.data, model=name, **bare | settings)
            ),
        )
        for name, settings in {
            "header_only": {},
            "forest": {"model_settings": {"trees": 10}, "features": ("motion",)},
        }.items()
    }
    keys = {run.run.tags["folds_key"] for run in (validated, *runs.values())}
    assert len(keys) == 1
    features = Dataset(folder=validated.data).features.version
    assert runs["forest"].run.tags["table_version.features"] == str(features)
    for one in runs.values():
        assert [row["clip_id"] for row in one.tell().about] == [
            row["clip_id"] for row in validated.tell().about
        ]
    metrics = {name: one.run.metrics for name, one in runs.items()}
    assert metrics["header_only"]["folds/over_header_only"] == 0
    of_forest = metrics["forest"]
    assert of_forest["folds/over_header_only"] == pytest.approx(
        of_forest["folds/accuracy"] - metrics["header_only"]["folds/accuracy"]
    )
    assert of_forest["folds/majority_accuracy"] <= 0.5
    compared, *_ = compare(CompareConfig(validated.run_id, runs["forest"].run_id))
    assert compared.b == pytest.approx(of_forest["folds/accuracy"])


def test_other_folds_are_not_compared(by_video: str, validated: Validated) -> None:
    with pytest.raises(UserError, match=r"have other folds .*: run both with the same folds"):
        compare(CompareConfig(validated.run_id, by_video))


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--folds.count", "4"], r"folds.count is 4, and label '\w+' is in 3 group\(s\)"),
        (["--seeds", "0,0"], "seeds is '0,0': use different numbers"),
        (["--seeds", "0,00"], "seeds is '0,00': use different numbers"),
        (["--candidates", "[{loop: {epoch: 3}}]"], "candidates.loop has 'epoch'"),
        (["--candidates", "[{loop: 3}]"], "candidates: loop is 3: use a mapping"),
        (["--candidates", "[{loop: {optim: 3}}]"], "candidates.loop.optim is 3: use a mapping of"),
        (["--candidates", "[{model_settings: {wide: 3}}]"], "model_settings of cnn"),
        (["--candidates", "[{}, {epochs: 3}]"], "candidates has 'epochs': use model_settings and"),
        (["--folds.val_share", "0", "--candidates", "[{}, {}]"], "video for candidates to go by"),
        (["--folds.val_share", "0", "--loop.patience", "2"], "no video for loop.patience to go by"),
        (["--loop.segments.answers", "2"], "loop.segments.count is 0, which leaves one choice"),
        (["--cpus_per_fold", "0"], "cpus_per_fold is 0"),
        (["--model", "cmm"], "no model 'cmm'; there are cnn, .*forest.*majority"),
        (["--features", "[motion]"], "model 'cnn' learns from frames"),
        (["--model", "forest", "--loop.epochs", "3"], "'forest' is no network: leave them out"),
        (["--model", "forest", "--model_settings", "{wide: 3}"], "'forest' has no 'wide'"),
        (["--model", "forest", "--model_settings", "{trees: 0}"], "forest: trees is 0: use 1 or"),
        (["--model", "forest", "--model_settings", "{trees: few}"], "settings of forest: '<' not"),
        (["--model", "majority", "--features", "[motion]"], "baseline 'majority' has none"),
    ],
)
def test_wrong_settings_end_in_one_line_before_anything_starts(
    grouped: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    given = ["--data", str(grouped), "--model", "cnn", "--folds.count", "3", *flags]
    monkeypatch.setattr(sys, "argv", ["cross_validate", *given])
    with pytest.raises(SystemExit) as ended:
        cli.main(cross_validate.cross_validate, CrossValidateConfig)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert re.search(said, error)
    assert error.count("\n") == 1
