"""predict with a classifier: vectors made where clips are decoded, answers as evaluate has them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pytest

from pipelines.evaluate import EvaluateConfig, evaluate
from pipelines.extract import ExtractConfig, extract
from pipelines.predict import PredictConfig, predict
from pipelines.predict_pictures import MOVING, SHEET
from pipelines.train_classical import TrainClassicalConfig, train_classical
from tests.jobs.test_predict import extremes, readable, run_of, run_predict, table_of
from videoproc import runlog
from videoproc.corpus import manifest
from videoproc.learning.scored import from_table
from videoproc.tables import Dataset, FrameFormat
from videoproc.types import Row

SETTINGS = {"forest": {"trees": 10}, "neighbours": {"neighbours": 3}}


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A classifier's run, and what `evaluate` was told of each clip of the test split."""

    data: Path
    workspace: Path
    run_id: str
    told: dict[str, list[float]]


def learn(data: Path, workspace: Path, classifier: str) -> Measured:
    run_id = train_classical(
        TrainClassicalConfig(data=str(data), classifier=classifier, settings=SETTINGS[classifier])
    )
    evaluate(EvaluateConfig(data=str(data), run=run_id))
    run = runlog.open_run(run_id, workspace=workspace)
    scored = from_table(run.read_table("test/scores.parquet"))
    probabilities = scored.scores["probabilities"].tolist()
    ids = [row["clip_id"] for row in scored.about]
    told = dict(zip(ids, probabilities, strict=True))
    return Measured(data=data, workspace=workspace, run_id=run_id, told=told)


def deal(data: Path) -> Path:
    """Of each class three videos to learn from, one to validate and two to test, each from a
    source of its own."""
    table, seen = Dataset(folder=data).manifest, dict[str | None, int]()
    dealt = []
    for video in manifest.from_table(table.read()):
        place = seen.setdefault(video.label, 0)
        seen[video.label] += video.error is None
        split = ("train", "train", "train", "val", "test", "test")[place % 6]
        dealt.append(replace(video, split=split, group=f"source of {video.uri}"))
    table.replace(manifest.to_table(dealt))
    return data


@pytest.fixture(scope="module")
def _learned(
    _extracted: Path, _empty_store: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Measured]:
    folder = tmp_path_factory.mktemp("learned")
    data = deal(Path(shutil.copytree(_extracted, folder / "data")))
    (folder / "workspace").mkdir()
    shutil.copy(_empty_store, folder / "workspace")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VIDEOPROC_WORKSPACE", str(folder / "workspace"))
        return {name: learn(data, folder / "workspace", name) for name in SETTINGS}


@pytest.fixture
def learned(_learned: dict[str, Measured], monkeypatch: pytest.MonkeyPatch) -> dict[str, Measured]:
    """By classifier; their workspace is the job's own. Read their dataset, do not change it."""
    monkeypatch.setenv("VIDEOPROC_WORKSPACE", str(_learned["forest"].workspace))
    return _learned


@pytest.fixture
def manifest_only(learned: dict[str, Measured], tmp_path: Path) -> Path:
    """The same videos, nothing of which is extracted."""
    made = Dataset(folder=tmp_path / "manifest only")
    made.manifest.replace(Dataset(folder=learned["forest"].data).manifest.read())
    return made.folder


def by_clip(rows: dict[str, Row], like: Measured) -> dict[str, list[float]]:
    found = {row["clip_id"]: row["probabilities"] for row in rows.values()}
    return {clip_id: found[clip_id] for clip_id in like.told}


@pytest.mark.parametrize("classifier", SETTINGS)
def test_freshly_decoded_clips_have_the_answers_that_evaluate_has_of_the_table(
    learned: dict[str, Measured], manifest_only: Path, classifier: str
) -> None:
    of = learned[classifier]
    rows = run_predict(manifest_only, of)
    assert rows.keys() == readable(manifest_only).keys()
    told = by_clip(rows, of)
    assert len(told) == 12
    for clip_id, expected in of.told.items():
        assert told[clip_id] == pytest.approx(expected, abs=1e-6)
    for row in rows.values():
        best = max(zip(row["probabilities"], row["classes"], strict=True), key=lambda one: one[0])
        assert (row["probability"], row["label"]) == best


def test_stored_clips_are_read_for_the_same_answers_without_the_table_of_vectors(
    learned: dict[str, Measured], tmp_path: Path
) -> None:
    of = learned["forest"]
    data = Path(shutil.copytree(of.data, tmp_path / "data"))
    dataset = Dataset(folder=data)
    rows = dataset.manifest.read()
    dataset.features.delete("video_id", rows["video_id"].to_pylist())
    nowhere = pa.array(["/nowhere/gone.mp4"] * len(rows))
    position = rows.schema.get_field_index("uri")
    dataset.manifest.replace(rows.set_column(position, "uri", nowhere))
    assert by_clip(run_predict(data, of), of) == of.told


@pytest.mark.slow
def test_clips_in_jpeg_are_decoded_anew_since_vectors_are_of_frames_before_it(
    learned: dict[str, Measured], manifest_only: Path
) -> None:
    recipe = Dataset(folder=learned["forest"].data).recipe
    extract(
        ExtractConfig(
            data=str(manifest_only),
            sampling=recipe.sampling,
            size=recipe.size,
            frames=FrameFormat(encoding="jpeg", quality=10),
            inline=True,
        )
    )
    of = learn(manifest_only, learned["forest"].workspace, "forest")
    assert by_clip(run_predict(manifest_only, of), of) == of.told


def test_what_has_an_answer_is_left_alone_and_what_fails_costs_itself_only(
    learned: dict[str, Measured], manifest_only: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of, dataset = learned["forest"], Dataset(folder=manifest_only)
    manifest_rows = dataset.manifest.read()
    gone, *_ = sorted(readable(manifest_only))
    uris = [
        "/nowhere/gone.mp4" if row["video_id"] == gone else row["uri"]
        for row in manifest_rows.to_pylist()
    ]
    position = manifest_rows.schema.get_field_index("uri")
    dataset.manifest.replace(manifest_rows.set_column(position, "uri", pa.array(uris)))
    rows = run_predict(manifest_only, of)
    assert rows.keys() == readable(manifest_only).keys() - {gone}
    failed = [row for row in dataset.quarantine.read().to_pylist() if row["stage"] == "decode"]
    assert [row["video_id"] for row in failed] == [gone]
    before = table_of(manifest_only).version
    capsys.readouterr()
    assert run_predict(manifest_only, of) == rows
    assert table_of(manifest_only).version == before
    assert "1 video in quarantine, left alone" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_on_ray_the_answers_and_the_pictures_are_those_of_one_process(
    learned: dict[str, Measured], manifest_only: Path
) -> None:
    of = learned["forest"]
    predict(PredictConfig(data=str(manifest_only), run=of.run_id, pictures=2))
    rows = {row["video_id"]: row for row in table_of(manifest_only).read().to_pylist()}
    assert by_clip(rows, of) == of.told
    run = run_of(manifest_only, of)
    assert run.read_json(runlog.PICTURED) == extremes(rows.values(), count=2)
    assert all(run.has(name) for name in (SHEET, MOVING))
    assert run.metrics["seconds/features"] > 0
