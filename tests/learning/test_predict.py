from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from videoproc import schema
from videoproc.learning import checkpoint, trained
from videoproc.learning.checkpoint import Card, Position
from videoproc.learning.predict import Predictor, answering_id, prediction_id
from videoproc.learning.samples import Sample, read_sample
from videoproc.learning.trained import read_trained
from videoproc.tables.clip_reader import ClipReader
from videoproc.types import Row

FINE = {"uri": "a.mp4", "stage": "", "error_class": "", "message": ""}
BROKEN = {"uri": "b.mp4", "stage": "decode", "error_class": "EOFError", "message": "cut off"}


@pytest.fixture
def folder(tmp_path: Path, make_card: Callable[..., Card]) -> Path:
    torch.manual_seed(0)
    card = make_card(dropout=0.5)
    model = card.build()
    optimiser = torch.optim.AdamW(model.parameters())
    checkpoint.save(
        tmp_path, model=model, optimiser=optimiser, card=card, position=Position(step=1)
    )
    return checkpoint.best(tmp_path)


@pytest.fixture
def predictor(folder: Path) -> Predictor:
    return Predictor(partial(read_trained, folder), run_id="r")


@pytest.fixture
def rows(samples: list[Sample]) -> list[Row]:
    """Clip rows as the steps pass them on; the third has failed."""
    reader = ClipReader(columns=["dtype", "shape", "frames"])
    names = ("clip_id", "video_id", "start_s", "end_s", "dtype", "shape", "frames")
    read = [read_sample(sample, reader) for sample in samples[:5]]
    made = [{name: row[name] for name in names} | FINE for row in read]
    made[2] |= BROKEN | dict.fromkeys(("dtype", "shape", "frames"))
    return [row | {"seconds_decode": 0.5} for row in made]


def test_each_clip_is_answered_in_its_place_with_the_models_own_probabilities(
    folder: Path, predictor: Predictor, rows: list[Row]
) -> None:
    answered = predictor(pa.Table.from_pylist(rows)).to_pylist()
    model, _ = checkpoint.load(folder, device=torch.device("cpu"))
    good = [row for row in rows if not row["error_class"]]
    frames = torch.stack([torch.from_numpy(schema.frames_of(row).copy()) for row in good])
    expected = model(frames).softmax(dim=1).tolist()
    told = [row["probabilities"] for row in answered if not row["error_class"]]
    assert told == [pytest.approx(probabilities, abs=1e-6) for probabilities in expected]
    assert [row["clip_id"] for row in answered] == [row["clip_id"] for row in rows]


def test_a_failed_row_passes_with_its_reason_and_without_an_answer(
    predictor: Predictor, rows: list[Row]
) -> None:
    failed = predictor(pa.Table.from_pylist(rows)).to_pylist()[2]
    assert BROKEN.items() <= failed.items()
    assert failed["label"] is None


def test_a_batch_of_failures_only_passes_too(predictor: Predictor, rows: list[Row]) -> None:
    made = predictor(pa.Table.from_pylist([rows[2], rows[2]]))
    assert made["error_class"].to_pylist() == ["EOFError", "EOFError"]


def test_the_time_of_earlier_steps_is_passed_on_and_the_models_added(
    predictor: Predictor, rows: list[Row]
) -> None:
    made = predictor(pa.Table.from_pylist(rows)).to_pylist()
    assert all(row["seconds_decode"] == 0.5 and row["seconds_model"] > 0 for row in made)


def test_ids_tell_runs_and_clips_apart() -> None:
    ids = {prediction_id(run, clip) for run in ("a", "b") for clip in ("x", "y")}
    assert len(ids) == 4


def test_a_run_answers_under_its_own_id_and_several_under_one_whatever_their_order() -> None:
    assert answering_id(["a"]) == "a"
    assert answering_id(["a", "b"]) == answering_id(["b", "a"])
    several = [["a"], ["b"], ["a", "b"], ["a", "c"], ["a", "b", "c"]]
    assert len({answering_id(runs) for runs in several}) == len(several)


def test_on_cpu_an_answer_does_not_depend_on_who_stands_beside_it(
    folder: Path, rows: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained, "CPU_BYTES_AT_ONCE", 1)
    by_one = Predictor(partial(read_trained, folder), run_id="r")
    together = by_one(pa.Table.from_pylist(rows)).to_pylist()
    alone = [by_one(pa.Table.from_pylist([row])).to_pylist()[0] for row in rows]
    assert [row["probabilities"] for row in together] == [row["probabilities"] for row in alone]
