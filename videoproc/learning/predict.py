"""Applying a trained model to batches of clip rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import torch
from safetensors.torch import load

from videoproc import schema
from videoproc.learning import checkpoint
from videoproc.learning.checkpoint import Card
from videoproc.storage import Anywhere
from videoproc.tasks import select_task
from videoproc.types import FETCHED, SECONDS, Row

CPU_BYTES_AT_ONCE = 1 << 20
"""Frames that a model on CPU takes at once: what it makes of them stays small, and a core is busy
with one clip as with many."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A model on its way to where there is no checkpoint. weights: as safetensors, no pickle."""

    card: Card
    weights: bytes


def read_trained(folder: Anywhere) -> Trained:
    """The model of a checkpoint."""
    return Trained(
        card=checkpoint.read_card(folder), weights=(folder / checkpoint.MODEL).read_bytes()
    )


class Predictor:
    """Clip rows in, prediction rows out; failed rows pass with their reason.

    Holds a model, so it is a class: one an actor. `run_id` names the run that the model is of.
    """

    def __init__(self, trained: Callable[[], Trained], *, run_id: str) -> None:
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        given = trained()
        self._card = given.card
        network = given.card.build()
        network.load_state_dict(load(given.weights))
        self._model = given.card.answering(network).to(self._device).eval()
        self._task = select_task(self._card.task)
        self._run_id = run_id

    @torch.inference_mode()
    def __call__(self, batch: pa.Table) -> pa.Table:
        started = time.perf_counter()
        rows = batch.to_pylist()
        good = [row for row in rows if not row["error_class"]]
        answers = iter(self._answers(good) if good else [])
        empty = dict.fromkeys(self._task.outputs.COLUMNS.names)
        seconds = (time.perf_counter() - started) / len(rows)
        made = [self._row(row) | (empty if row["error_class"] else next(answers)) for row in rows]
        kept = [n for n in batch.column_names if n.startswith(SECONDS) or n == FETCHED]
        for row, source in zip(made, rows, strict=True):
            row |= {name: source[name] for name in kept} | {SECONDS + "model": seconds}
        return pa.Table.from_pylist(made, schema=self._schema(kept))

    def _answers(self, rows: list[Row]) -> list[Row]:
        at_once = len(rows) if self._device.type == "cuda" else clips_at_once(self._card)
        starts = range(0, len(rows), at_once)
        return [row for start in starts for row in self._told(rows[start : start + at_once])]

    def _told(self, rows: list[Row]) -> list[Row]:
        unlabelled = [row | {"label": None, "group": None} for row in rows]
        arrays = self._task.targets.make_batch(unlabelled, self._card.spec)
        batch = {name: torch.from_numpy(a).to(self._device) for name, a in arrays.items()}
        outputs = self._task.loss.forward(self._model, batch)
        return self._task.outputs.rows(outputs.cpu(), self._card.spec)

    def _row(self, row: Row) -> Row:
        return {
            "prediction_id": prediction_id(self._run_id, row["clip_id"]),
            "run_id": self._run_id,
            **{name: row[name] for name in PASSED_ON},
        }

    def _schema(self, kept: list[str]) -> pa.Schema:
        return pa.schema(
            [
                *schema.PREDICTION_KEYS,
                *self._task.outputs.COLUMNS,
                *[(name, pa.string()) for name in ("uri", "stage", "error_class", "message")],
                *[
                    (name, pa.int64() if name == FETCHED else pa.float64())
                    for name in [*kept, SECONDS + "model"]
                ],
            ]
        )


def clips_at_once(card: Card) -> int:
    """How many clips the model takes together on CPU, of any batch."""
    return max(1, CPU_BYTES_AT_ONCE // math.prod(card.frame_shape))


PASSED_ON = (
    "clip_id",
    "video_id",
    "start_s",
    "end_s",
    "uri",
    "stage",
    "error_class",
    "message",
)


def prediction_id(run_id: str, clip_id: str) -> str:
    """One model says one thing of a clip."""
    return schema.content_id(run_id, clip_id)
