"""ensemble: what several cross-validations told of each clip, measured as one of them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines import cli
from pipelines.compare import CompareConfig, compare
from pipelines.cross_validate import CrossValidateConfig, cross_validate
from pipelines.ensemble import EnsembleConfig, ensemble
from pipelines.extract import ExtractConfig, extract
from pipelines.lineage import LineageConfig, lineage
from videoproc import runlog
from videoproc.corpus.folds import FoldConfig
from videoproc.learning.config import LoopConfig
from videoproc.learning.scored import Scored, from_table
from videoproc.media import Sampling, Size
from videoproc.tables import Dataset
from videoproc.tasks import TASKS
from videoproc.types import UserError

pytestmark = pytest.mark.slow

FOLDS = FoldConfig(count=3, val_share=0.5, repeats=2)
NETWORK = {
    "model": "cnn",
    "model_settings": {"channels": [2]},
    "loop": LoopConfig(epochs=1, batch_size=12),
}
FOREST = {
    "model": "forest",
    "model_settings": {"trees": 5},
    "features": ("motion",),
    "seeds": "0,1",
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """A dataset and the runs on it, in one workspace."""

    data: Path
    workspace: Path
    network: str
    forest: str  # of two seeds
    both: str

    def run(self, run_id: str) -> runlog.Run:
        return runlog.open_run(run_id, workspace=self.workspace)

    def scores(self, run_id: str, name: str = "folds") -> Scored:
        return from_table(self.run(run_id).read_table(f"{name}/scores.parquet"))


def validate(data: Path, *, folds: FoldConfig = FOLDS, **settings: Any) -> str:
    return cross_validate(CrossValidateConfig(data=str(data), folds=folds, inline=True, **settings))


def put_together(data: Path, *runs: str) -> str:
    return ensemble(EnsembleConfig(data=str(data), runs=",".join(runs)))


@pytest.fixture(scope="module")
def _told(
    _extracted: Path,
    _empty_store: Path,
    group_videos: Callable[[Path], Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Told:
    folder = tmp_path_factory.mktemp("told")
    workspace = folder / "workspace"
    workspace.mkdir()
    shutil.copy(_empty_store, workspace)
    data = group_videos(Path(shutil.copytree(_extracted, folder / "data")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(workspace))
        network, forest = (validate(data, **model) for model in (NETWORK, FOREST))
        both = put_together(data, network[:8], forest[:8])
    return Told(data=data, workspace=workspace, network=network, forest=forest, both=both)


@pytest.fixture
def told(_told: Told, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Read its dataset, do not change it."""
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(_told.workspace))
    return _told


@pytest.mark.parametrize("repeat", [0, 1])
def test_its_answer_is_the_mean_of_its_members_each_the_mean_of_its_seeds(
    told: Told, repeat: int
) -> None:
    """In each repeat by itself."""
    first = {0: "folds", 1: "folds/seed_0_repeat_1"}[repeat]
    both, network, *of_forest = (
        told.scores(told.both, first),
        told.scores(told.network, first),
        told.scores(told.forest, first),
        told.scores(told.forest, f"folds/seed_1_repeat_{repeat}"),
    )
    assert both.about == network.about
    of_network, one, other = (s.scores["probabilities"] for s in (network, *of_forest))
    assert not np.allclose(one, other)
    found = both.scores["probabilities"]
    assert found == pytest.approx(((one + other) / 2 + of_network) / 2, abs=1e-6)
    target = network.scores["target"]
    assert both.losses == pytest.approx(-np.log(found[np.arange(len(target)), target]), rel=1e-5)


def test_its_metrics_are_those_of_its_answer(told: Told) -> None:
    repeats = [told.scores(told.both, name) for name in ("folds", "folds/seed_0_repeat_1")]
    right = [s.scores["probabilities"].argmax(axis=1) == s.scores["target"] for s in repeats]
    assert told.run(told.both).metrics["folds/accuracy"] == pytest.approx(np.mean(right))


def test_it_has_the_metrics_and_files_of_a_cross_validation(told: Told) -> None:
    runs = [told.run(run_id) for run_id in (told.network, told.both)]
    of_network, of_both = (set(run.metrics) for run in runs)
    assert of_both == of_network
    assert {"folds/accuracy_low", "folds/over_header_only_low"} <= of_both
    files = [
        {file.path for file in run.client.list_artifacts(run.stored_id, "folds")} for run in runs
    ]
    assert files[0] == files[1]
    for name in (runlog.LEARNED_FROM, "folds/folds.json"):
        assert runs[0].read_json(name) == runs[1].read_json(name)
    alike = ("folds_key", "folds_by", "task", "manifest_digest", "table_version.clips")
    assert [runs[0].tags[name] for name in alike] == [runs[1].tags[name] for name in alike]


def test_it_names_its_members_and_what_they_have_cost(told: Told) -> None:
    run = told.run(told.both)
    assert run.tags["model"] == "cnn + forest"
    ids = ",".join(sorted([told.network, told.forest]))  # in whatever order they are given
    assert run.tags["members"] == run.params["runs"] == ids
    of_members = [
        row
        for run_id in (told.network, told.forest)
        for row in told.run(run_id).read_json("folds/by_fold.json")
    ]
    for row in run.read_json("folds/by_fold.json"):
        place = row["repeat"], row["fold"]
        cost = [one for one in of_members if (one["repeat"], one["fold"]) == place]
        assert len(cost) == 3
        for name in ("learn_seconds", "answer_seconds"):
            assert row[name] == pytest.approx(sum(one[name] for one in cost))
        assert row["parameters"] == sum(one.get("parameters", 0) for one in cost)


def test_the_videos_of_its_members_are_told_as_its_own(told: Told) -> None:
    video_id = min(told.run(told.both).read_json(runlog.LEARNED_FROM)["train"]["videos"])
    uses = lineage(LineageConfig(video_id, data=str(told.data))).uses
    assert {told.network, told.forest, told.both} <= {u.run_id for u in uses if u.has_learned}


def test_the_same_command_finds_the_finished_run(
    told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    assert put_together(told.data, told.network, told.forest) == told.both
    said = " ".join(capsys.readouterr().out.split())
    assert f"cnn + forest: as run {told.both} has measured it, not measured again" in said


def test_it_is_compared_with_a_member(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    first, *_ = compare(CompareConfig(told.forest, told.both))
    metrics = [told.run(run_id).metrics["folds/accuracy"] for run_id in (told.forest, told.both)]
    assert (first.a, first.b) == pytest.approx(metrics)
    assert "Both were measured on the same 36 clips of split folds" in capsys.readouterr().out


def test_other_folds_are_refused(told: Told) -> None:
    other = validate(told.data, model="majority", folds=replace(FOLDS, repeats=1))
    said = rf"{told.forest} \(forest\) and {other} \(majority\) have other folds .*same folds"
    with pytest.raises(UserError, match=said):
        put_together(told.data, told.forest, other)


@pytest.fixture
def larger(told: Told, tmp_path: Path) -> Path:
    """The same videos as other clips, of 24x24."""
    data = Path(shutil.copytree(told.data, tmp_path / "larger"))
    extract(
        ExtractConfig(
            data=str(data),
            sampling=Sampling(num_frames=4),
            size=Size(height=24, width=24),
            inline=True,
        )
    )
    return data


def test_runs_on_other_clips_of_the_same_videos_are_paired_by_video(
    told: Told, larger: Path
) -> None:
    other = validate(larger, model="majority")
    both = put_together(larger, told.forest, other)
    of_forest, of_other, of_both = map(told.scores, (told.forest, other, both))
    of_second = told.scores(told.forest, "folds/seed_1_repeat_0")
    ids = [[row["clip_id"] for row in one.about] for one in (of_forest, of_other, of_both)]
    assert not set(ids[0]) & set(ids[1])
    assert ids[2] == ids[1]
    of_seeds = of_forest.scores["probabilities"] + of_second.scores["probabilities"]
    of_video = {row["video_id"]: p for row, p in zip(of_forest.about, of_seeds, strict=True)}
    paired = np.stack([of_video[row["video_id"]] for row in of_other.about])
    expected = (paired / 2 + of_other.scores["probabilities"]) / 2
    assert of_both.scores["probabilities"] == pytest.approx(expected, abs=1e-6)


def test_other_videos_are_refused(told: Told, tmp_path: Path) -> None:
    data = Path(shutil.copytree(told.data, tmp_path / "data"))
    lost = told.scores(told.forest).about[0]
    Dataset(folder=data).clips.delete("video_id", [lost["video_id"]])
    fewer = validate(data, model="majority")
    said = (
        rf"run {told.forest} \(forest\) and run {fewer} \(majority\) do not have the same clips "
        rf"\(1 of the first alone, 0 of the second\), such as of '{lost['uri']}'"
    )
    with pytest.raises(UserError, match=said):
        put_together(told.data, told.forest, fewer)
    with pytest.raises(UserError, match=rf"dataset {data} and run .* do not have the same clips"):
        put_together(data, told.network, told.forest)


def test_what_is_no_finished_cross_validation_is_refused(told: Told) -> None:
    with pytest.raises(UserError, match="is one of ensemble: give ids of cross-validations"):
        put_together(told.data, told.forest, told.both)
    with pytest.raises(UserError, match="are the same cross-validation, which would count twice"):
        put_together(told.data, told.forest, told.forest[:10])
    with (
        pytest.raises(RuntimeError, match="cut off"),
        runlog.job_run(
            "cross_validate", data=told.data, workspace=told.workspace, config={}
        ) as run,
    ):
        raise RuntimeError("cut off")
    with pytest.raises(UserError, match=f"run {run.run_id} .* has not come to its end"):
        put_together(told.data, told.forest, run.run_id)


def test_a_task_without_a_mean_of_answers_is_refused(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "classification", replace(TASKS["classification"], ensemble=None))
    with pytest.raises(UserError, match=r"task 'classification' has no ensemble.py"):
        put_together(told.data, told.network, told.forest)


def test_one_run_is_no_ensemble(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ensemble", "--data", "d", "--runs", "abcdefgh,"])
    with pytest.raises(SystemExit) as ended:
        cli.main(ensemble, EnsembleConfig)
    assert ended.value.code == 2
    assert "runs is 'abcdefgh,': give two run ids or more" in capsys.readouterr().err
