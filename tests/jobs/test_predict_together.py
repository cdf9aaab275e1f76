"""predict with several runs: a row a clip, of the mean of their answers, under an id of its own."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipelines.extract import ExtractConfig, extract
from pipelines.forget import ForgetConfig, forget
from pipelines.lineage import LineageConfig, lineage
from pipelines.predict import PredictConfig, predict
from pipelines.train_classical import TrainClassicalConfig, train_classical
from tests.jobs.test_predict import readable, run_of, table_of
from tests.jobs.test_predict_classifier import deal
from videoproc import runlog
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card, Position
from videoproc.learning.predict import answering_id
from videoproc.models import model_config
from videoproc.tables import Dataset, FrameFormat
from videoproc.types import Row, UserError


@dataclass(frozen=True, kw_only=True)
class Two:
    """A dataset, a network and a classifier of its clips."""

    data: Path
    workspace: Path
    network: str
    forest: str

    @property
    def runs(self) -> list[str]:
        return [self.network, self.forest]

    @property
    def run_id(self) -> str:
        return answering_id(self.runs)


def log_network(data: Path, workspace: Path) -> str:
    """A run of a tiny network with fresh weights."""
    dataset = Dataset(folder=data)
    labels = {label for row in readable(data).values() for label in row["labels"]}
    size, settings = dataset.recipe.size, asdict(model_config("cnn", {"channels": [4, 8]}))
    card = Card(
        task="classification",
        spec={"classes": sorted(labels)},
        model="cnn",
        model_settings=settings,
        num_outputs=len(labels),
        frame_shape=(4, size.height, size.width, 3),
        recipe=dataset.recipe.to_json(),
    )
    torch.manual_seed(0)
    network, folder = card.build(), data.parent / "untrained"
    optimiser = torch.optim.SGD(network.parameters())
    checkpoint.save(folder, model=network, optimiser=optimiser, card=card, position=Position())
    config = {"model": card.model}
    with runlog.job_run("train", data=data, workspace=workspace, config=config) as run:
        run.log_folder(checkpoint.best(folder), "checkpoint")
    return run.run_id


def learn_forest(data: Path) -> str:
    return train_classical(
        TrainClassicalConfig(data=str(data), classifier="forest", settings={"trees": 10})
    )


@pytest.fixture(scope="module")
def _two(_extracted: Path, _empty_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Two:
    folder = tmp_path_factory.mktemp("two")
    data = deal(Path(shutil.copytree(_extracted, folder / "data")))
    workspace = folder / "workspace"
    workspace.mkdir()
    shutil.copy(_empty_store, workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(workspace))
        network, forest = log_network(data, workspace), learn_forest(data)
    return Two(data=data, workspace=workspace, network=network, forest=forest)


@pytest.fixture
def two(_two: Two, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Two:
    """Their workspace is the job's own; the dataset is yours to change."""
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(_two.workspace))
    return replace(_two, data=Path(shutil.copytree(_two.data, tmp_path / "data")))


def answers(data: Path, runs: Sequence[str]) -> dict[str, Row]:
    """Predict; the answers of these runs together, by clip."""
    predict(PredictConfig(data=str(data), run=",".join(runs), pictures=0, inline=True))
    wanted = answering_id(runs)
    rows = [row for row in table_of(data).read().to_pylist() if row["run_id"] == wanted]
    assert len({row["clip_id"] for row in rows}) == len(rows)
    return {row["clip_id"]: row for row in rows}


def check_means(data: Path, two: Two) -> None:
    together, *alone = [answers(data, runs) for runs in (two.runs, [two.network], [two.forest])]
    assert len(together) == len(readable(data))
    for clip_id, row in together.items():
        expected = np.mean([one[clip_id]["probabilities"] for one in alone], axis=0)
        assert row["probabilities"] == pytest.approx(expected, abs=1e-7)
        assert row["label"] == row["classes"][int(expected.argmax())]


def test_each_clip_has_one_row_with_the_mean_of_the_runs_beside_what_each_says(two: Two) -> None:
    check_means(two.data, two)
    assert len(table_of(two.data).read()) == 3 * len(readable(two.data))


@pytest.mark.slow
def test_of_jpeg_clips_networks_see_what_is_stored_and_vectors_are_of_what_was_decoded(
    two: Two, tmp_path: Path
) -> None:
    made = Dataset(folder=tmp_path / "jpeg")
    made.manifest.replace(Dataset(folder=two.data).manifest.read())
    recipe = Dataset(folder=two.data).recipe
    jpeg = FrameFormat(encoding="jpeg", quality=10)
    settings = {"sampling": recipe.sampling, "size": recipe.size, "frames": jpeg}
    extract(ExtractConfig(data=str(made.folder), inline=True, **settings))
    network, forest = log_network(made.folder, two.workspace), learn_forest(made.folder)
    check_means(made.folder, replace(two, network=network, forest=forest))


def test_only_what_they_have_not_answered_together_is_predicted_whatever_their_order(
    two: Two, capsys: pytest.CaptureFixture[str]
) -> None:
    before = answers(two.data, two.runs)
    version = table_of(two.data).version
    capsys.readouterr()
    assert answers(two.data, two.runs[::-1]) == before
    assert table_of(two.data).version == version
    assert "nothing to do" in capsys.readouterr().out
    gone = next(iter(before.values()))
    table_of(two.data).delete("video_id", [gone["video_id"]])
    after = answers(two.data, two.runs)
    again, redone = after.pop(gone["clip_id"]), before.pop(gone["clip_id"])
    assert again["probabilities"] == pytest.approx(redone["probabilities"], abs=1e-6)
    assert after == before


def test_a_prediction_is_traced_to_all_runs_behind_it_and_forgotten_like_any(
    two: Two, capsys: pytest.CaptureFixture[str]
) -> None:
    beginnings = ",".join(run[:12] for run in two.runs)
    predict(PredictConfig(data=str(two.data), run=beginnings, pictures=2, inline=True))
    job, members = run_of(two.data, two), sorted(two.runs)
    assert job.params["run"] == ",".join(members)
    video = next(iter(readable(two.data).values()))
    capsys.readouterr()

    found = lineage(LineageConfig(video["digest"], data=str(two.data)))

    assert found.predicted == {"predictions/classification": {two.run_id}}
    assert found.members == {two.run_id: members}
    by = f"predicted by {two.run_id} ({members[0]} and {members[1]} together)"
    assert by in capsys.readouterr().out
    forget(ForgetConfig(video["digest"], data=str(two.data)))
    left = table_of(two.data).read()["video_id"].to_pylist()
    assert set(left) == readable(two.data).keys()


def test_the_same_run_twice_would_count_twice(two: Two) -> None:
    run = f"{two.forest[:12]}, {two.forest}"
    said = f"runs '{two.forest[:12]}' and '{two.forest}' are the same, {two.forest}, which would"
    with pytest.raises(UserError, match=said):
        predict(PredictConfig(data=str(two.data), run=run, inline=True))


def test_a_comma_without_a_run_behind_it_is_refused(two: Two) -> None:
    with pytest.raises(UserError, match="run '' is no run id"):
        predict(PredictConfig(data=str(two.data), run=f"{two.forest},", inline=True))
